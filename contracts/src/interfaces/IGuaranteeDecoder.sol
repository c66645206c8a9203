// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Guarantee} from "./ICreditCore.sol";

/// @title Who reads certificates of one version
interface IGuaranteeDecoder {
    /// @notice What the certificate says; reverts when it must not be redeemed.
    /// @param guarantee The bytes inside the envelope, whose signature was checked before.
    function decode(bytes calldata guarantee) external view returns (Guarantee memory);
}
