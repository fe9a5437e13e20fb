# The one command surface: people and CI run the same recipes.

set positional-arguments

# CI reports every failure; a person wants the first one at once.
export NEXTEST_PROFILE := env("NEXTEST_PROFILE", if env("CI", "") == "" { "default" } else { "ci" })

[private]
default:
    @just --list --unsorted

# Serve on http://127.0.0.1:8080, in the sandbox environment, with SQLite in ./data
run *ARGS:
    cargo run -- serve "$@"

# Install what the other recipes need and this machine lacks
setup:
    @scripts/setup

# Run all tests on SQLite and PostgreSQL; with ARGS, those that nextest picks: `just test rotate`, `just test -p cryptopay-store`
test *ARGS: setup
    {{ if ARGS == "" { "cargo test --workspace --doc" } else { "" } }}
    scripts/with-postgres cargo nextest run {{ if ARGS =~ '(^| )(-p|--package)\b' { "" } else { "--workspace" } }} "$@"

# Draw the dashboard's pages anew into docs/screenshots: in the light, some in the dark and on a phone
screenshots:
    @scripts/setup pngquant
    SCREENSHOTS="{{ justfile_directory() }}/docs/screenshots" \
        cargo nextest run -p cryptopay --run-ignored only pictures_are_drawn_of_every_page
    pngquant --force --ext .png --strip --speed 1 64 docs/screenshots/*.png

# Check formatting, lints, dependencies and shell scripts
lint: deny
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --locked -- -D warnings
    @if command -v shellcheck >/dev/null; then shellcheck .ci/run scripts/*; fi

# Format the code
fmt:
    cargo fmt --all

# Build the reference of every crate; a broken link is an error
docs:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

# Everything CI checks
ci: lint docs test

# Build the server for this machine's processor, which makes password hashes faster; elsewhere it may not run
build *ARGS:
    RUSTFLAGS="${RUSTFLAGS:--C target-cpu=native}" cargo build --release -p cryptopay "$@"

# Try the server against its own OpenAPI document with Schemathesis, every check on: some four minutes
schemathesis *ARGS: setup
    @scripts/schemathesis "$@"

# Fuzz everything that strangers' bytes come through, each target for so many seconds: `just fuzz`, `just fuzz 30 cursor`
fuzz SECONDS="600" *TARGETS:
    @command -v cargo-fuzz >/dev/null || cargo install --locked cargo-fuzz
    @scripts/fuzz "$@"

# Measure the release build for this processor against its bars, PostgreSQL included, every commit on the disk
bench *ARGS: setup
    RUSTFLAGS="${RUSTFLAGS:--C target-cpu=native}" WITH_POSTGRES_DURABLE=1 \
        scripts/with-postgres cargo run --release -p cryptopay-bench -- "$@"

# Open psql on a throw-away PostgreSQL database with the newest schema: `just db`, `just db -c '\d'`
db *ARGS: setup
    @scripts/with-postgres scripts/psql-migrated "$@"

# Check the layering, licences and origin of every dependency; needs no network
deny: (cargo-deny "bans" "licenses" "sources")

# Check the dependencies for published vulnerabilities; needs a network
advisories: (cargo-deny "advisories")

[private]
cargo-deny +CHECKS:
    @command -v cargo-deny >/dev/null || cargo install --locked cargo-deny
    cargo deny --all-features check "$@"
