//! libFuzzer's way into [`cryptopay_fuzz::webhook_target`].
#![no_main]
#![allow(unsafe_code, reason = "libFuzzer calls a function with a C name")]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = cryptopay_fuzz::webhook_target::check(data);
});
