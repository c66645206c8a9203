// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IEip2612} from "./IEip2612.sol";
import {IEip3009} from "./IEip3009.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";

/// @title A stand-in for USDC on test chains
/// @notice WORTHLESS ON PURPOSE: anyone may mint any amount to anyone. Never deploy it where people could take it for money.
/// @dev Speaks the part of USDC that payments use: ERC-20, EIP-2612 and EIP-3009, each with both signature forms. It has
/// no owner, no pause, no blacklist and no upgrade.
interface ITestUsdc is IERC20Metadata, IEip2612, IEip3009 {
    /// @notice Creates `value` new units for `to`. ANYONE MAY CALL THIS.
    /// @dev Emits `Transfer` from the zero address. Reverts when the total supply would pass 2^256 - 1.
    /// @param to Who gets them; not the zero address.
    /// @param value The amount, in the token's smallest unit.
    /// @return Always true, as from USDC's own `mint`.
    function mint(address to, uint256 value) external returns (bool);

    /// @notice The `version` of the EIP-712 domain, "2" for USDC.
    /// @return The version's text.
    function version() external view returns (string memory);
}
