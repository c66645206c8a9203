//! Headers that carry payments, offers and receipts: total, and what was read is written back to the same meaning.
#![no_main]

use faregate_types::x402::header;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = header::decode_base64(data);
    if let Ok(payment) = header::decode_payment_v2(data) {
        let again = header::decode_payment_v2(header::encode(&payment).as_bytes());
        assert_eq!(again.as_ref(), Ok(&payment));
    }
    if let Ok(payment) = header::decode_payment_v1(data) {
        let again = header::decode_payment_v1(header::encode(&payment).as_bytes());
        assert_eq!(again.as_ref(), Ok(&payment));
    }
    if let Ok(required) = header::decode_payment_required(data) {
        let again = header::decode_payment_required(header::encode(&required).as_bytes());
        assert_eq!(again.as_ref(), Ok(&required));
    }
    if let Ok(response) = header::decode_settle_response(data) {
        let _ = (
            response.code(),
            response.transaction_hash(),
            response.payer_address(),
        );
        let again = header::decode_settle_response(header::encode(&response).as_bytes());
        assert_eq!(again.as_ref(), Ok(&response));
    }
});
