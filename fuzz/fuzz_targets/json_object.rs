//! libFuzzer's way into [`cryptopay_fuzz::json_object`].
#![no_main]
#![allow(unsafe_code, reason = "libFuzzer calls a function with a C name")]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = cryptopay_fuzz::json_object::check(data);
});
