//! The body of `/verify` and `/settle`: total, stable under encoding, and the same payment either way.
#![no_main]

use faregate_types::x402::FacilitatorRequest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let request = match FacilitatorRequest::decode(data) {
        Ok(request) => request,
        Err(error) => {
            assert!((400..=413).contains(&error.http_status()));
            return;
        }
    };
    let _ = (request.network(), request.version());
    let again = FacilitatorRequest::decode(&request.encode()).expect("what we wrote");
    assert_eq!(again, request);
    match (request.exact(), again.exact()) {
        (Ok(one), Ok(two)) => assert_eq!(one.id(), two.id()),
        (Err(one), Err(two)) => assert_eq!(one.code, two.code),
        _ => panic!("the same request was read in two ways"),
    }
});
