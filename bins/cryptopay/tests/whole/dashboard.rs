//! The dashboard in a real browser: what the programs in `tests/browser` try.

use cryptopay_testkit::{Backend, Server, browse, on_both_databases};

use crate::shop;

on_both_databases! {
    a_key_is_led_through_its_life_in_a_browser => keys;
    webhooks_are_set_up_with_a_live_receiver_in_a_browser => webhooks;
}

async fn serve(backend: Backend) -> Server {
    shop::installation(backend).await.serve().await
}

async fn keys(backend: Backend) {
    let server = serve(backend).await;
    browse("keys.js", &server, &[]).await;
    server.stop().await.success();
}

async fn webhooks(backend: Backend) {
    let server = serve(backend).await;
    browse("webhooks.js", &server, &[]).await;
    server.stop().await.success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_is_let_in_and_out_as_its_merchant_says() {
    browse("login.js", &serve(Backend::Sqlite).await, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_sites_and_hostile_names_do_nothing() {
    browse("hostile.js", &serve(Backend::Sqlite).await, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_work_by_the_keyboard_alone() {
    browse("keyboard.js", &serve(Backend::Sqlite).await, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_work_without_javascript_and_on_a_phone() {
    browse("access.js", &serve(Backend::Sqlite).await, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_accessible_in_both_colour_schemes_and_the_first_one_light() {
    browse("looks.js", &serve(Backend::Sqlite).await, &[]).await;
}

/// Run by `just screenshots`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "it writes into the repository"]
async fn pictures_are_drawn_of_every_page() {
    let directory = std::env::var("SCREENSHOTS").expect("a directory");
    std::fs::create_dir_all(&directory).expect("a directory");
    browse("screenshots.js", &serve(Backend::Sqlite).await, &[&directory]).await;
}
