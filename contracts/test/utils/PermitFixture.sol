// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IPermitSettler} from "../../src/interfaces/IPermitSettler.sol";
import {vm} from "../Vm.sol";
import {Fixture} from "./Fixture.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @title What every test of the permit settler starts from
/// @notice The settler and Permit2 are made from the committed artifacts through the CREATE2 proxy, as on a real chain.
abstract contract PermitFixture is Fixture {
    address internal constant DEPLOYER = 0x4e59b44847b379578588920cA78FbF26c0B4956C;
    address internal constant PERMIT2 = 0x000000000022D473030F116dDEE9F6B43aC78BA3;
    uint256 internal constant GAS = 200_000;
    IPermitSettler internal settler;

    function setUp() public virtual override {
        super.setUp();
        vm.etch(DEPLOYER, vm.parseJsonBytes(vm.readFile("artifacts/Create2Deployer.json"), ".deployedBytecode"));
        string memory permit2 = vm.readFile("artifacts/Permit2.json");
        make(bytes32(vm.parseJsonBytes(permit2, ".salt")), vm.parseJsonBytes(permit2, ".bytecode"));
        settler = settlerFor(payee);
        vm.prank(payer);
        require(usdc.approve(PERMIT2, type(uint256).max), "refused");
    }

    function settlerCode(address treasury) internal view returns (bytes memory) {
        bytes memory code = vm.parseJsonBytes(vm.readFile("artifacts/PermitSettler.json"), ".bytecode");
        return abi.encodePacked(code, abi.encode(treasury));
    }

    function settlerFor(address treasury) internal returns (IPermitSettler) {
        return IPermitSettler(make(0, settlerCode(treasury)));
    }

    /// @dev Creates through the proxy.
    function make(bytes32 salt, bytes memory code) internal returns (address) {
        (bool success, bytes memory answer) = DEPLOYER.call(abi.encodePacked(salt, code));
        require(success && answer.length == 20, "creation failed");
        return address(bytes20(answer));
    }

    // ---- items ---------------------------------------------------------------------------------------------------------

    function permitItem(uint256 nonce, uint256 value) internal view returns (IPermitSettler.Item memory) {
        return permitItem(PAYER_KEY, nonce, value);
    }

    function permitItem(uint256 key, uint256 nonce, uint256 value) internal view returns (IPermitSettler.Item memory) {
        address owner = vm.addr(key);
        bytes32 hash = permitDigest(owner, address(settler), value, nonce, NOW + 60);
        return _item(key, IPermitSettler.Kind.Permit, address(usdc), value, 0, nonce, hash);
    }

    function authorizationItem(uint256 nonce, uint256 value) internal view returns (IPermitSettler.Item memory) {
        return authorizationItem(PAYER_KEY, nonce, value);
    }

    function authorizationItem(uint256 key, uint256 nonce, uint256 value)
        internal
        view
        returns (IPermitSettler.Item memory)
    {
        Auth memory a = Auth(vm.addr(key), address(settler), value, NOW - 600, NOW + 60, bytes32(nonce));
        bytes32 hash = transferDigest(a);
        return _item(key, IPermitSettler.Kind.Authorization, address(usdc), value, NOW - 600, nonce, hash);
    }

    function permit2Item(uint256 nonce, uint256 value) internal view returns (IPermitSettler.Item memory) {
        return permit2Item(PAYER_KEY, address(usdc), nonce, value);
    }

    function permit2Item(uint256 key, address token, uint256 nonce, uint256 value)
        internal
        view
        returns (IPermitSettler.Item memory)
    {
        bytes32 hash = permit2Digest(address(settler), token, value, nonce, NOW + 60);
        return _item(key, IPermitSettler.Kind.Permit2, token, value, 0, nonce, hash);
    }

    function itemOf(IPermitSettler.Kind kind, uint256 nonce, uint256 value)
        internal
        view
        returns (IPermitSettler.Item memory)
    {
        if (kind == IPermitSettler.Kind.Permit) return permitItem(nonce, value);
        if (kind == IPermitSettler.Kind.Authorization) return authorizationItem(nonce, value);
        return permit2Item(nonce, value);
    }

    function permit2Digest(address spender, address token, uint256 amount, uint256 nonce, uint256 deadline)
        internal
        view
        returns (bytes32)
    {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,uint256 chainId,address verifyingContract)"),
                keccak256("Permit2"),
                block.chainid,
                PERMIT2
            )
        );
        bytes32 permissions =
            keccak256(abi.encode(keccak256("TokenPermissions(address token,uint256 amount)"), token, amount));
        bytes32 typeHash = keccak256(
            "PermitTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline)TokenPermissions(address token,uint256 amount)"
        );
        bytes32 structHash = keccak256(abi.encode(typeHash, permissions, spender, nonce, deadline));
        return keccak256(abi.encodePacked(hex"1901", domain, structHash));
    }

    function _item(
        uint256 key,
        IPermitSettler.Kind kind,
        address token,
        uint256 value,
        uint256 validAfter,
        uint256 nonce,
        bytes32 hash
    ) private pure returns (IPermitSettler.Item memory item) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, hash);
        item = IPermitSettler.Item(kind, token, vm.addr(key), value, validAfter, NOW + 60, nonce, v, r, s);
    }

    // ---- doing it ------------------------------------------------------------------------------------------------------

    function one(IPermitSettler.Item memory item) internal pure returns (IPermitSettler.Item[] memory items) {
        items = new IPermitSettler.Item[](1);
        items[0] = item;
    }

    /// @dev Somebody hands the permit or the authorization to the token itself.
    function frontRun(IPermitSettler.Item memory item) internal {
        if (item.kind == IPermitSettler.Kind.Permit) {
            usdc.permit(item.payer, address(settler), item.value, item.deadline, item.v, item.r, item.s);
        } else {
            usdc.transferWithAuthorization(
                item.payer,
                address(settler),
                item.value,
                item.validAfter,
                item.deadline,
                bytes32(item.nonce),
                item.v,
                item.r,
                item.s
            );
        }
    }

    /// @dev The settler refuses one item with exactly this error, alone and in a batch.
    function checkRefused(IPermitSettler.Item memory item, bytes memory reason) internal {
        vm.expectRevert(reason);
        settler.settleOne(item);
        vm.expectEmit(address(settler));
        emit IPermitSettler.ItemFailed(0, item.payer, item.nonce, reason);
        checkSettled(settler.settle(one(item), GAS), 0);
    }

    function checkRefusedError(IPermitSettler.Item memory item, bytes4 reason) internal {
        checkRefused(item, abi.encodeWithSelector(reason));
    }

    function checkRefusedText(IPermitSettler.Item memory item, string memory text) internal {
        checkRefused(item, abi.encodeWithSignature("Error(string)", text));
    }

    /// @dev Compares with a mask: bit i is item i.
    function checkSettled(bool[] memory settled, uint256 mask) internal pure {
        for (uint256 i = 0; i < settled.length; ++i) {
            vm.assertEq(settled[i] ? 1 : 0, mask >> i & 1);
        }
    }

    /// @dev What left the payer is at the treasury, nothing is in between.
    function checkPaid(uint256 paid) internal view {
        vm.assertEq(IERC20(address(usdc)).balanceOf(address(settler)), 0);
        checkBalances(1000 - paid, paid);
    }
}
