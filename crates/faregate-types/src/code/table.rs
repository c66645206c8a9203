//! The one table of codes: variant, text, names other SDKs give it, who is to blame, retry, HTTP status, meaning.

use super::{Blame, Retry, codes};

codes! {
    // x402: the specification (v2 §9)
    InsufficientFunds "insufficient_funds" [] Payer Retry::Never, 402, "the payer does not hold enough of the asset";
    InvalidExactEvmPayloadAuthorizationValidAfter "invalid_exact_evm_payload_authorization_valid_after" [] Payer Retry::AfterSecs(2), 402,
        "the authorization is not valid yet";
    InvalidExactEvmPayloadAuthorizationValidBefore "invalid_exact_evm_payload_authorization_valid_before" [] Payer Retry::Never, 402,
        "the authorization has expired or expires too soon to be settled";
    InvalidExactEvmPayloadAuthorizationValueMismatch "invalid_exact_evm_payload_authorization_value_mismatch" [
        "invalid_exact_evm_payload_authorization_value",
        "invalid_exact_evm_authorization_value",
        "invalid_exact_evm_authorization_value_mismatch"
    ] Payer Retry::Never, 402, "the authorized value is not exactly the required amount";
    InvalidExactEvmPayloadSignature "invalid_exact_evm_payload_signature" [
        "invalid_exact_evm_signature"
    ] Payer Retry::Never, 402, "the signature is not one of the payer over this authorization";
    InvalidExactEvmPayloadRecipientMismatch "invalid_exact_evm_payload_recipient_mismatch" [
        "invalid_exact_evm_recipient_mismatch"
    ] Payer Retry::Never, 402, "the authorization pays somebody else than the required payee";
    InvalidNetwork "invalid_network" [] Payer Retry::Never, 402, "the network is unknown or not offered";
    InvalidPayload "invalid_payload" [] Payer Retry::Never, 402, "the payload does not have the shape its scheme asks for";
    InvalidPaymentRequirements "invalid_payment_requirements" [] Seller Retry::Never, 402, "the payment requirements are malformed";
    InvalidScheme "invalid_scheme" [] Payer Retry::Never, 402, "the scheme is unknown";
    UnsupportedScheme "unsupported_scheme" ["invalid_exact_evm_scheme"] Payer Retry::Never, 402, "the scheme is not supported here";
    InvalidX402Version "invalid_x402_version" [] Payer Retry::Never, 400, "the protocol version is missing or not 1 or 2";
    InvalidTransactionState "invalid_transaction_state" [] Peer Retry::Never, 402, "the settlement transaction was reverted or dropped";
    UnexpectedVerifyError "unexpected_verify_error" [] Us Retry::AfterSecs(5), 500, "verification failed for a reason of ours";
    UnexpectedSettleError "unexpected_settle_error" [] Us Retry::AfterSecs(5), 500, "settlement failed for a reason of ours";

    // x402: what the SDKs add for exact on EVM
    NetworkMismatch "network_mismatch" [
        "invalid_exact_evm_network_mismatch"
    ] Payer Retry::Never, 402, "the payload names another network than the requirements";
    InvalidExactEvmFailedToGetNetworkConfig "invalid_exact_evm_failed_to_get_network_config" [] Payer Retry::Never, 402,
        "the network is not one this facilitator serves";
    MissingEip712Domain "missing_eip712_domain" [
        "invalid_exact_evm_missing_eip712_domain"
    ] Seller Retry::Never, 402, "the requirements do not give the token's EIP-712 name and version";
    InvalidExactEvmNonceAlreadyUsed "invalid_exact_evm_nonce_already_used" [] Payer Retry::Never, 402,
        "the authorization was used or cancelled before";
    InvalidExactEvmTokenNameMismatch "invalid_exact_evm_token_name_mismatch" [] Seller Retry::Never, 402,
        "the required EIP-712 name is not the token contract's";
    InvalidExactEvmTokenVersionMismatch "invalid_exact_evm_token_version_mismatch" [] Seller Retry::Never, 402,
        "the required EIP-712 version is not the token contract's";
    InvalidExactEvmInsufficientBalance "invalid_exact_evm_insufficient_balance" [] Payer Retry::Never, 402,
        "the payer's token balance is below the amount";
    InvalidExactEvmEip3009NotSupported "invalid_exact_evm_eip3009_not_supported" [] Seller Retry::Never, 402,
        "the token contract has no transferWithAuthorization";
    InvalidExactEvmTransactionSimulationFailed "invalid_exact_evm_transaction_simulation_failed" [] Payer Retry::Never, 402,
        "the transfer would be reverted";
    AssetNotDeployedContract "asset_not_deployed_contract" [] Seller Retry::Never, 402, "there is no contract at the asset address";
    InvalidExactEvmPayloadUndeployedSmartWallet "invalid_exact_evm_payload_undeployed_smart_wallet" [
        "undeployed_smart_wallet",
        "invalid_exact_evm_undeployed_smart_wallet"
    ] Payer Retry::Never, 402, "the payer is a contract wallet that is not deployed";
    Eip6492FactoryNotAllowed "eip6492_factory_not_allowed" [
        "invalid_exact_evm_eip6492_factory_not_allowed"
    ] Payer Retry::Never, 402, "the wallet factory of the signature is not on the allow-list";
    SmartWalletDeploymentFailed "smart_wallet_deployment_failed" [
        "invalid_exact_evm_smart_wallet_deployment_failed"
    ] Peer Retry::Never, 402, "the payer's contract wallet could not be deployed";
    InvalidExactEvmTransferEventMismatch "invalid_exact_evm_transfer_event_mismatch" [
        "transfer_event_mismatch"
    ] Peer Retry::Never, 402, "the transaction succeeded without the expected Transfer event";
    TransactionFailed "transaction_failed" [
        "invalid_exact_evm_transaction_failed"
    ] Peer Retry::Never, 402, "the settlement transaction was reverted";
    SettlementPending "settlement_pending" [] Peer Retry::AfterSecs(2), 402, "the settlement was sent and its result is not known yet";
    SettlementReverted "settlement_reverted" [] Peer Retry::AfterSecs(30), 402,
        "the chain reverted the settlement, and that is not final yet";
    ExtensionEchoMismatch "extension_echo_mismatch" [] Payer Retry::Never, 402, "an echoed extension differs from what was offered";
    InvalidPayment "invalid_payment" [] Payer Retry::Never, 402, "the payment is not acceptable";
    PaymentExpired "payment_expired" [] Payer Retry::Never, 402, "the payment has expired";
    DuplicateSettlement "duplicate_settlement" [] Payer Retry::Never, 402, "this payment is being settled or was settled before";

    // x402: Permit2 and gas sponsoring
    InvalidPermit2Spender "invalid_permit2_spender" [] Payer Retry::Never, 402, "the Permit2 spender is not the x402 proxy";
    InvalidPermit2RecipientMismatch "invalid_permit2_recipient_mismatch" [] Payer Retry::Never, 402,
        "the Permit2 witness pays somebody else than the required payee";
    Permit2DeadlineExpired "permit2_deadline_expired" [] Payer Retry::Never, 402, "the Permit2 deadline has passed or is too close";
    Permit2NotYetValid "permit2_not_yet_valid" [] Payer Retry::Never, 402, "the Permit2 authorization is not valid yet";
    Permit2AmountMismatch "permit2_amount_mismatch" [] Payer Retry::Never, 402, "the permitted amount is not exactly the required amount";
    Permit2TokenMismatch "permit2_token_mismatch" [] Payer Retry::Never, 402, "the permitted token is not the required asset";
    InvalidPermit2Signature "invalid_permit2_signature" [] Payer Retry::Never, 402, "the Permit2 signature is not one of the payer";
    Permit2AllowanceRequired "permit2_allowance_required" [] Payer Retry::Never, 412, "the payer has to approve the Permit2 contract first";
    Permit2InsufficientBalance "permit2_insufficient_balance" [] Payer Retry::Never, 402,
        "the payer's token balance is below the permitted amount";
    Permit2SimulationFailed "permit2_simulation_failed" [] Payer Retry::Never, 402, "the Permit2 transfer would be reverted";
    Permit2ProxyNotDeployed "permit2_proxy_not_deployed" [] Operator Retry::Never, 402,
        "the x402 Permit2 proxy is not deployed on this network";
    Permit2InvalidNonce "permit2_invalid_nonce" [] Payer Retry::Never, 402, "the Permit2 nonce was used before";
    Permit2InvalidAmount "permit2_invalid_amount" [] Payer Retry::Never, 402, "the Permit2 proxy refuses the amount";
    Permit2InvalidOwner "permit2_invalid_owner" [] Payer Retry::Never, 402, "the Permit2 proxy refuses the owner";
    Permit2InvalidDestination "permit2_invalid_destination" [] Payer Retry::Never, 402, "the Permit2 proxy refuses the destination";
    Permit2PaymentTooEarly "permit2_payment_too_early" [] Payer Retry::Never, 402, "the Permit2 proxy says the payment is too early";
    Permit22612AmountMismatch "permit2_2612_amount_mismatch" [] Payer Retry::Never, 402,
        "the EIP-2612 permit is not over exactly the permitted amount";
    InvalidEip2612ExtensionFormat "invalid_eip2612_extension_format" [] Payer Retry::Never, 402, "the EIP-2612 extension is malformed";
    Eip2612FromMismatch "eip2612_from_mismatch" [] Payer Retry::Never, 402, "the EIP-2612 permit is of another owner than the payer";
    Eip2612AssetMismatch "eip2612_asset_mismatch" [] Payer Retry::Never, 402, "the EIP-2612 permit is for another token";
    Eip2612SpenderNotPermit2 "eip2612_spender_not_permit2" [] Payer Retry::Never, 402,
        "the EIP-2612 permit does not approve the Permit2 contract";
    Eip2612DeadlineExpired "eip2612_deadline_expired" [] Payer Retry::Never, 402, "the EIP-2612 deadline has passed";
    InvalidErc20ApprovalExtensionFormat "invalid_erc20_approval_extension_format" [] Payer Retry::Never, 402,
        "the ERC-20 approval extension is malformed";
    Erc20ApprovalFromMismatch "erc20_approval_from_mismatch" [] Payer Retry::Never, 402,
        "the approval is of another account than the payer";
    Erc20ApprovalAssetMismatch "erc20_approval_asset_mismatch" [] Payer Retry::Never, 402, "the approval is for another token";
    Erc20ApprovalSpenderNotPermit2 "erc20_approval_spender_not_permit2" [] Payer Retry::Never, 402,
        "the approval is not for the Permit2 contract";
    Erc20ApprovalTxParseFailed "erc20_approval_tx_parse_failed" [] Payer Retry::Never, 402, "the approval transaction cannot be decoded";
    Erc20ApprovalTxWrongTarget "erc20_approval_tx_wrong_target" [] Payer Retry::Never, 402,
        "the approval transaction calls another contract";
    Erc20ApprovalTxWrongSelector "erc20_approval_tx_wrong_selector" [] Payer Retry::Never, 402,
        "the approval transaction calls another function";
    Erc20ApprovalTxWrongSpender "erc20_approval_tx_wrong_spender" [] Payer Retry::Never, 402,
        "the approval transaction approves somebody else";
    Erc20ApprovalTxInvalidCalldata "erc20_approval_tx_invalid_calldata" [] Payer Retry::Never, 402,
        "the approval transaction has malformed call data";
    Erc20ApprovalTxSignerMismatch "erc20_approval_tx_signer_mismatch" [] Payer Retry::Never, 402,
        "the approval transaction is signed by another account";
    Erc20ApprovalTxInvalidSignature "erc20_approval_tx_invalid_signature" [] Payer Retry::Never, 402,
        "the approval transaction has an invalid signature";
    Erc20ApprovalTxFailed "erc20_approval_tx_failed" [] Payer Retry::Never, 402, "the approval transaction was reverted";
    Erc20ApprovalBroadcastFailed "erc20_approval_broadcast_failed" [] Peer Retry::Never, 402,
        "the approval transaction could not be broadcast";

    // x402: schemes and networks that are understood when a peer names them, and never produced here
    InvalidUptoEvmPayloadSettlementExceedsAmount "invalid_upto_evm_payload_settlement_exceeds_amount" [] Seller Retry::Never, 402,
        "the settled amount is above the authorized one";
    UptoFacilitatorMismatch "upto_facilitator_mismatch" [] Payer Retry::Never, 402, "the authorization is for another facilitator";
    UptoAmountExceedsPermitted "upto_amount_exceeds_permitted" [] Seller Retry::Never, 402, "the amount is above the permitted one";
    UptoUnauthorizedFacilitator "upto_unauthorized_facilitator" [] Operator Retry::Never, 402,
        "the settling account is not the authorized facilitator";
    InvalidExactSvmPayloadTransaction "invalid_exact_svm_payload_transaction" [
        "invalid_exact_svm_payload_transaction_amount_mismatch",
        "invalid_exact_svm_payload_transaction_create_ata_instruction",
        "invalid_exact_svm_payload_transaction_create_ata_instruction_incorrect_payee",
        "invalid_exact_svm_payload_transaction_create_ata_instruction_incorrect_asset",
        "invalid_exact_svm_payload_transaction_instructions",
        "invalid_exact_svm_payload_transaction_instructions_length",
        "invalid_exact_svm_payload_transaction_instructions_compute_limit_instruction",
        "invalid_exact_svm_payload_transaction_instructions_compute_price_instruction",
        "invalid_exact_svm_payload_transaction_instructions_compute_price_instruction_too_high",
        "invalid_exact_svm_payload_transaction_instruction_not_spl_token_transfer_checked",
        "invalid_exact_svm_payload_transaction_instruction_not_token_2022_transfer_checked",
        "invalid_exact_svm_payload_transaction_fee_payer_included_in_instruction_accounts",
        "invalid_exact_svm_payload_transaction_fee_payer_transferring_funds",
        "invalid_exact_svm_payload_transaction_not_a_transfer_instruction",
        "invalid_exact_svm_payload_transaction_receiver_ata_not_found",
        "invalid_exact_svm_payload_transaction_sender_ata_not_found",
        "invalid_exact_svm_payload_transaction_simulation_failed",
        "invalid_exact_svm_payload_transaction_transfer_to_incorrect_ata"
    ] Payer Retry::Never, 402, "the Solana transaction of the payload is not acceptable";
    SettleExactSvmBlockHeightExceeded "settle_exact_svm_block_height_exceeded" [] Peer Retry::Never, 402,
        "the Solana transaction was not included in time";
    SettleExactSvmTransactionConfirmationTimedOut "settle_exact_svm_transaction_confirmation_timed_out" [] Peer Retry::AfterSecs(2), 402,
        "the Solana transaction was sent and its result is not known yet";

    // Payments and credentials
    PaymentRequired "payment_required" [] Payer Retry::Never, 402, "this resource has to be paid for";
    PaymentInFlight "payment_in_flight" [] Payer Retry::AfterSecs(1), 409, "a request with this credential is being worked on";
    PaymentConflict "payment_conflict" [] Payer Retry::Never, 409, "this credential was used for another request";
    IdempotencyKeyInvalid "idempotency_key_invalid" [] Payer Retry::Never, 400,
        "the idempotency key or payment identifier is malformed";
    PaymentIdentifierRequired "payment_identifier_required" [] Payer Retry::Never, 400,
        "this route wants every purchase to be named by its payer";
    IdempotencyConflict "idempotency_conflict" [] Payer Retry::Never, 409, "this idempotency key was used for another request";
    PaymentAlreadyUsed "payment_already_used" [] Payer Retry::Never, 402, "this payment was used before and its answer is no longer kept";
    PaymentUnknown "payment_unknown" [] Peer Retry::AfterSecs(2), 503, "nobody can say yet whether the money moved";
    NoMatchingRequirements "no_matching_requirements" [] Payer Retry::Never, 402,
        "the credential matches none of the offers of this resource";
    MalformedCredential "malformed_credential" [] Payer Retry::Never, 402, "the credential cannot be decoded";
    CredentialTooLarge "credential_too_large" [] Payer Retry::Never, 402, "the credential is larger than the limit";
    AssetNotAllowed "asset_not_allowed" [] Seller Retry::Never, 402, "the asset is not on the allow-list";
    PayeeNotAllowed "payee_not_allowed" [] Seller Retry::Never, 402, "the payee is not on the allow-list";

    // L402: what is wrong with a token. 401 for what nobody issued, 402 and a new challenge for what is no longer enough.
    L402TokenMalformed "l402_token_malformed" [] Payer Retry::Never, 401, "the L402 credential cannot be decoded";
    L402TokenForged "l402_token_forged" [] Payer Retry::Never, 401, "the token was not issued here, or was changed";
    L402PreimageWrong "l402_preimage_wrong" [] Payer Retry::Never, 401, "the preimage is not the one of the token's payment";
    L402CaveatRefused "l402_caveat_refused" [] Payer Retry::Never, 401,
        "a condition of the token is unknown, malformed, wider than one before it, or missing";
    L402TokenExpired "l402_token_expired" [] Payer Retry::Never, 402, "the token has expired";
    L402TokenUsedUp "l402_token_used_up" [] Payer Retry::Never, 402, "the token was used as often as was paid for";
    L402TokenRevoked "l402_token_revoked" [] Payer Retry::Never, 402, "the token was revoked";
    L402InvoiceUnpaid "l402_invoice_unpaid" [] Payer Retry::Never, 402,
        "the seller's wallet says that the invoice of the token was not paid";
    L402PriceNotCovered "l402_price_not_covered" [] Payer Retry::Never, 402, "the token was cheaper than what is asked for now";
    L402WrongService "l402_wrong_service" [] Payer Retry::Never, 402, "the token is for another service, tier or capability";
    L402WrongRoute "l402_wrong_route" [] Payer Retry::Never, 402, "the token is for another route";
    L402WrongMethod "l402_wrong_method" [] Payer Retry::Never, 402, "the token is for another method";
    L402WrongClient "l402_wrong_client" [] Payer Retry::Never, 402, "the token is bound to another client";

    // Permits for access tokens: what is wrong with a permit (always 400), and with a token (always 402)
    PermitMalformed "permit_malformed" [] Payer Retry::Never, 400, "the token request does not have the shape of one";
    PermitNotOffered "permit_not_offered" [] Payer Retry::Never, 400, "the permit is for a token or a chain that is not offered here";
    PermitExpired "permit_expired" [] Payer Retry::Never, 400, "the permit has expired or expires too soon to be settled";
    PermitNotYetValid "permit_not_yet_valid" [] Payer Retry::AfterSecs(2), 400, "the permit is not valid yet";
    PermitSpenderMismatch "permit_spender_mismatch" [] Payer Retry::Never, 400, "the permit is for another spender or payee";
    PermitContractMismatch "permit_contract_mismatch" [] Payer Retry::Never, 400, "the permit names another contract than Permit2's";
    PermitSignatureInvalid "permit_signature_invalid" [] Payer Retry::Never, 400, "the signature is not one of the owner over this permit";
    PermitDomainMismatch "permit_domain_mismatch" [] Seller Retry::Never, 400, "the configured EIP-712 domain is not the token contract's";
    PermitNonceUsed "permit_nonce_used" [] Payer Retry::Never, 400, "the permit's nonce was used, is reserved, or is not the next one";
    PermitValueTooLow "permit_value_too_low" [] Payer Retry::Never, 400, "the permit allows less than the price";
    PermitAllowanceTooLow "permit_allowance_too_low" [] Payer Retry::Never, 400, "the owner allows Permit2 less than the permit says";
    PermitBalanceTooLow "permit_balance_too_low" [] Payer Retry::Never, 400,
        "the owner holds less than the price and what is reserved for other payments";
    PermitSimulationFailed "permit_simulation_failed" [] Payer Retry::Never, 400, "the settlement of the permit would be reverted";
    AccessTokenMissing "access_token_missing" [] Payer Retry::Never, 402, "the request has no access token";
    AccessTokenMalformed "access_token_malformed" [] Payer Retry::Never, 402, "the access token cannot be decoded";
    AccessTokenForged "access_token_forged" [] Payer Retry::Never, 402, "the access token was not issued here, or was changed";
    AccessTokenExpired "access_token_expired" [] Payer Retry::Never, 402, "the access token has expired";
    AccessTokenElsewhere "access_token_elsewhere" [] Payer Retry::Never, 402, "the access token is for another service, route or method";
    AccessTokenRevoked "access_token_revoked" [] Payer Retry::Never, 402, "the payment of the access token failed";

    // x402: scheme 4mica-credit
    CreditVersionMismatch "credit_version_mismatch" [] Payer Retry::Never, 402, "the guarantee is of another version than the required one";
    CreditRecipientMismatch "credit_recipient_mismatch" [] Payer Retry::Never, 402, "the guarantee is for somebody else than the required payee";
    CreditAssetMismatch "credit_asset_mismatch" [] Payer Retry::Never, 402, "the guarantee is for another asset than the required one";
    CreditAmountMismatch "credit_amount_mismatch" [] Payer Retry::Never, 402, "the guarantee is not over exactly the required amount";
    CreditConditionInvalid "credit_condition_invalid" [] Payer Retry::Never, 402, "the validation condition of the guarantee cannot hold";
    CreditConditionMismatch "credit_condition_mismatch" [] Payer Retry::Never, 402,
        "the validation condition of the guarantee is another than the required one";
    CreditTabMismatch "credit_tab_mismatch" [] Payer Retry::Never, 402, "the tab is another payer's or recipient's, or for another asset";
    CreditTabUnknown "credit_tab_unknown" [] Payer Retry::Never, 402, "there is no such tab";
    CreditTabClosed "credit_tab_closed" [] Payer Retry::Never, 402, "the tab is closed, settled, or its time is over";
    CreditReqIdTaken "credit_req_id_taken" [] Payer Retry::Never, 402, "the tab has another guarantee of this number";
    CreditReqIdInvalid "credit_req_id_invalid" [] Payer Retry::Never, 402, "the number of the guarantee is not the next one of its tab";
    CreditTimestampInvalid "credit_timestamp_invalid" [] Payer Retry::Never, 402, "the guarantee is dated outside the life of its tab";
    CreditCollateralTooLow "credit_collateral_too_low" [] Payer Retry::Never, 402, "too little of the payer's collateral is free";
    CreditPayerUnknown "credit_payer_unknown" [] Payer Retry::Never, 402, "the payer has never deposited collateral";
    CreditSuspended "credit_suspended" [] Payer Retry::Never, 402, "payer or recipient is suspended";
    CreditSignatureInvalid "credit_signature_invalid" [] Payer Retry::Never, 402, "the signature is not the payer's over these claims";
    CreditRegistryNotTrusted "credit_registry_not_trusted" [] Payer Retry::Never, 402, "the validation registry is not one that the core trusts";
    CreditLimitReached "credit_limit_reached" [] Payer Retry::Never, 402, "the payer owes as much for this as the seller lets it owe";
    CreditRefused "credit_refused" [] Payer Retry::Never, 402, "the credit core refuses it";
    CreditCoreUnavailable "credit_core_unavailable" [] Peer Retry::AfterSecs(2), 503, "the credit core cannot be reached";
    CreditCoreAnswerInvalid "credit_core_answer_invalid" [] Peer Retry::AfterSecs(5), 502, "the credit core gave an answer that cannot be believed";

    // Dependencies and capacity
    StoreUnavailable "store_unavailable" [] Operator Retry::AfterSecs(2), 503, "the store cannot be reached";
    ReplayStoreUnavailable "replay_store_unavailable" [] Operator Retry::AfterSecs(2), 503,
        "the store of used tokens that several gates share cannot be reached";
    ChainUnavailable "chain_unavailable" [] Peer Retry::AfterSecs(2), 503, "the chain cannot be reached";
    FacilitatorUnavailable "facilitator_unavailable" [] Peer Retry::AfterSecs(2), 503, "the facilitator cannot be reached";
    FacilitatorAnswerInvalid "facilitator_answer_invalid" [] Peer Retry::AfterSecs(5), 502,
        "the facilitator gave an answer that cannot be understood";
    UpstreamUnavailable "upstream_unavailable" [] Peer Retry::AfterSecs(2), 502, "the upstream cannot be reached";
    UpstreamTimeout "upstream_timeout" [] Peer Retry::AfterSecs(2), 504, "the upstream did not answer in time";
    UpstreamAnswerInvalid "upstream_answer_invalid" [] Peer Retry::Never, 502, "the upstream gave an answer that cannot be understood";
    ResponseTooLarge "response_too_large" [] Seller Retry::Never, 502, "the upstream's answer is larger than the limit";
    SignerUnavailable "signer_unavailable" [] Operator Retry::AfterSecs(5), 503, "no signer can send a transaction at the moment";
    InsufficientGas "insufficient_gas" [] Operator Retry::AfterSecs(60), 503, "the signer's account cannot pay for gas";
    Overloaded "overloaded" [] Operator Retry::AfterSecs(1), 503, "too many requests are being worked on";
    RateLimited "rate_limited" [] Payer Retry::AfterSecs(1), 429, "too many requests from this client";
    ShuttingDown "shutting_down" [] Operator Retry::AfterSecs(5), 503, "this service is stopping";
    NotReady "not_ready" [] Operator Retry::AfterSecs(2), 503, "this service is still starting";

    // Lightning: invoices and their payment
    LightningUnavailable "lightning_unavailable" [] Peer Retry::AfterSecs(2), 503, "the Lightning wallet or node cannot be reached";
    LightningUnauthorized "lightning_unauthorized" [] Operator Retry::AfterSecs(60), 503,
        "the Lightning wallet or node does not accept its credential for this";
    LightningAnswerInvalid "lightning_answer_invalid" [] Peer Retry::AfterSecs(5), 502,
        "the Lightning wallet or node gave an answer that cannot be believed";
    LightningUnsupported "lightning_unsupported" [] Operator Retry::AfterSecs(60), 503, "the Lightning wallet or node cannot do this";
    LightningPaymentPending "lightning_payment_pending" [] Peer Retry::AfterSecs(2), 402,
        "the Lightning payment was sent and its result is not known yet";
    LightningPaymentNotFound "lightning_payment_not_found" [] Peer Retry::AfterSecs(2), 402,
        "the Lightning wallet or node does not know this payment";
    LightningPaymentFailed "lightning_payment_failed" [] Peer Retry::Never, 402, "the Lightning payment failed, and nothing was paid";
    LightningNoRoute "lightning_no_route" [] Peer Retry::Never, 402, "there is no route to the payee within the fee limit";
    LightningPreimageMissing "lightning_preimage_missing" [] Peer Retry::AfterSecs(2), 402,
        "the Lightning payment went through, but its preimage is not known";
    InvoiceExpired "invoice_expired" [] Payer Retry::Never, 402, "the Lightning invoice has expired";
    InvoiceUnusable "invoice_unusable" [] Seller Retry::Never, 402, "the Lightning invoice cannot be paid";
    InvoicePriceMismatch "invoice_price_mismatch" [] Seller Retry::Never, 402, "the Lightning invoice is over another amount than the price that is named";

    // HTTP
    BadRequest "bad_request" [] Payer Retry::Never, 400, "the request cannot be understood";
    MalformedJson "malformed_json" [] Payer Retry::Never, 400, "the body is not the JSON object that was expected";
    Unauthorized "unauthorized" [] Payer Retry::Never, 401, "the request needs a valid key";
    Forbidden "forbidden" [] Payer Retry::Never, 403, "the request is not allowed";
    NotFound "not_found" [] Payer Retry::Never, 404, "there is nothing at this path";
    MethodNotAllowed "method_not_allowed" [] Payer Retry::Never, 405, "this path does not support this method";
    RequestTimeout "request_timeout" [] Payer Retry::Same, 408, "the request did not arrive in time";
    BodyTooLarge "body_too_large" [] Payer Retry::Never, 413, "the body is larger than the limit";
    UriTooLong "uri_too_long" [] Payer Retry::Never, 414, "the URL is longer than the limit";
    UpgradeNotSupported "upgrade_not_supported" [] Payer Retry::Never, 400,
        "this route does not take protocol upgrades such as WebSocket";
    UnsupportedMediaType "unsupported_media_type" [] Payer Retry::Never, 415, "the body has to be application/json";
    HeadersTooLarge "headers_too_large" [] Payer Retry::Never, 431, "the headers are larger than the limit";

    // The payer's own guards: refused before anything is signed
    OverPaymentCap "over_payment_cap" [] Payer Retry::Never, 402, "the price is above the cap for one payment";
    OverHostCap "over_host_cap" [] Payer Retry::Never, 402, "the price does not fit the cap for this host";
    OverPeriodCap "over_period_cap" [] Payer Retry::Never, 402, "the price does not fit the cap for this period";
    OverTotalCap "over_total_cap" [] Payer Retry::Never, 402, "the price does not fit what may be spent altogether";
    AssetUnknown "asset_unknown" [] Payer Retry::Never, 402, "the asset is not in the own asset table";
    DomainMismatch "domain_mismatch" [] Seller Retry::Never, 402, "the offered EIP-712 domain is not the own asset table's";
    NetworkNotAllowed "network_not_allowed" [] Payer Retry::Never, 402, "the network is not enabled; mainnet networks have to be named";
    PayeeChanged "payee_changed" [] Seller Retry::Never, 402, "the payee is not the one this host named before";
    PriceRaised "price_raised" [] Seller Retry::Never, 402, "the price rose by more than is allowed since last time";
    TermsChanged "terms_changed" [] Seller Retry::Never, 402, "the server was paid and asks for another payment on other terms";
    ValidityTooLong "validity_too_long" [] Seller Retry::Never, 402, "the offer asks for an authorization that is valid for too long";
    NoUsableOffer "no_usable_offer" [] Payer Retry::Never, 402, "none of the offers can be paid with what is configured";
    MalformedOffer "malformed_offer" [] Seller Retry::Never, 502, "the payment offer cannot be decoded";
    PaymentRefused "payment_refused" [] Seller Retry::Never, 402, "the server refused the payment";
    HostNotAllowed "host_not_allowed" [] Payer Retry::Never, 403, "payments to this host are not allowed";
    InsecureUrl "insecure_url" [] Payer Retry::Never, 403, "credentials are not sent over plain HTTP to another machine";
    BodyNotReplayable "body_not_replayable" [] Payer Retry::Never, 400, "the request body cannot be sent a second time with the payment";

    // Ourselves
    ConfigInvalid "config_invalid" [] Operator Retry::Never, 500, "the configuration is not valid";
    Internal "internal" [] Us Retry::AfterSecs(5), 500, "an error of ours";
}
