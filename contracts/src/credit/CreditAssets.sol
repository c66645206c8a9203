// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {ICreditCore} from "../interfaces/ICreditCore.sol";
import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

/// @title ETH and the tokens that are taken, and how they move
abstract contract CreditAssets is ICreditCore, AccessManaged {
    using SafeERC20 for IERC20;

    /// @dev The asset that is the chain's own coin.
    address internal constant ETH = address(0);

    /// @dev ETH's number; tokens follow in the order of their registration, and 0 is nothing.
    uint16 internal constant ETH_NUMBER = 1;

    /// @dev Enough, and little enough for {getUserAllAssets} to go through.
    uint256 private constant TOKENS_MAX = 32;

    address[] private _tokens;
    mapping(address asset => uint16 number) private _numbers;

    constructor(address[] memory tokens) {
        for (uint256 i = 0; i < tokens.length; ++i) {
            _addToken(tokens[i]);
        }
    }

    /// @inheritdoc ICreditCore
    function addAsset(address asset) external restricted {
        _addToken(asset);
    }

    /// @inheritdoc ICreditCore
    function getERC20Tokens() external view returns (address[] memory) {
        return _tokens;
    }

    /// @inheritdoc ICreditCore
    function USDC() external view returns (address) {
        return _tokens.length > 0 ? _tokens[0] : address(0);
    }

    /// @inheritdoc ICreditCore
    function USDT() external view returns (address) {
        return _tokens.length > 1 ? _tokens[1] : address(0);
    }

    /// @dev How many assets there are, ETH included.
    function _assetCount() internal view returns (uint256) {
        return _tokens.length + 1;
    }

    /// @dev The number of an asset; 0 when it is not taken.
    function _numberOf(address asset) internal view returns (uint16) {
        return asset == ETH ? ETH_NUMBER : _numbers[asset];
    }

    /// @dev The asset with a number; ETH also for 0.
    function _assetOf(uint256 number) internal view returns (address) {
        return number <= ETH_NUMBER ? ETH : _tokens[number - ETH_NUMBER - 1];
    }

    function _requireToken(address asset) internal view {
        require(asset != ETH && _numbers[asset] != 0, UnsupportedAsset(asset));
    }

    /// @dev Moves tokens of the caller, who has approved it.
    /// @return arrived What `to` has more than before: less than `amount` for a token that keeps a fee, never more.
    function _pull(address asset, address to, uint256 amount) internal returns (uint256 arrived) {
        IERC20 token = IERC20(asset);
        uint256 before = token.balanceOf(to);
        token.safeTransferFrom(msg.sender, to, amount);
        uint256 afterwards = token.balanceOf(to);
        require(afterwards > before, TransferFailed());
        arrived = afterwards - before;
        if (arrived > amount) arrived = amount;
    }

    /// @dev Hands out what this contract holds.
    function _push(address asset, address to, uint256 amount) internal {
        if (asset == ETH) {
            (bool done,) = to.call{value: amount}("");
            require(done, TransferFailed());
        } else {
            IERC20(asset).safeTransfer(to, amount);
        }
    }

    function _addToken(address asset) private {
        require(asset.code.length != 0 && _numbers[asset] == 0, InvalidAsset(asset));
        require(_tokens.length < TOKENS_MAX, IllegalValue());
        _tokens.push(asset);
        // forge-lint: disable-next-line(unsafe-typecast)
        _numbers[asset] = uint16(_tokens.length) + ETH_NUMBER;
        emit StablecoinAssetUpdated(asset, true);
    }
}
