// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {ITestUsdc} from "../../src/interfaces/ITestUsdc.sol";
import {vm} from "../Vm.sol";

/// @title What every test of the token starts from
/// @notice Deploys the committed artifact, not a fresh compilation: what is tested is what dev chains load.
abstract contract Fixture {
    /// @dev The two ways to hand over a signature.
    enum Form {
        Vrs,
        Bytes
    }

    /// @dev The signed fields of an EIP-3009 transfer.
    struct Auth {
        address from;
        address to;
        uint256 value;
        uint256 validAfter;
        uint256 validBefore;
        bytes32 nonce;
    }

    uint256 internal constant PAYER_KEY = 0xA11CE;
    uint256 internal constant OTHER_KEY = 0xB0B;
    uint256 internal constant NOW = 1_740_672_089;
    uint256 internal constant CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;

    ITestUsdc internal usdc;
    address internal payer;
    address internal payee = address(0xBEEF);
    address internal relayer = address(0xFEE);

    function setUp() public virtual {
        vm.warp(NOW);
        payer = vm.addr(PAYER_KEY);
        usdc = deploy("USDC", "2", "USDC", 6);
        usdc.mint(payer, 1000);
    }

    function creationCode() internal view returns (bytes memory) {
        return vm.parseJsonBytes(vm.readFile("artifacts/TestUsdc.json"), ".bytecode");
    }

    function deploy(string memory name, string memory version, string memory symbol, uint8 decimals)
        internal
        returns (ITestUsdc)
    {
        return ITestUsdc(create(abi.encodePacked(creationCode(), abi.encode(name, version, symbol, decimals))));
    }

    function create(bytes memory code) internal returns (address made) {
        assembly ("memory-safe") {
            made := create(0, add(code, 0x20), mload(code))
        }
        require(made != address(0), "creation failed");
    }

    // ---- signing, from the texts of the standards and not from the contract's constants --------------------------------

    function domainSeparator(string memory name, string memory version, uint256 chainId, address token)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256(bytes(name)),
                keccak256(bytes(version)),
                chainId,
                token
            )
        );
    }

    function digest(bytes32 structHash) internal view returns (bytes32) {
        bytes32 domain = domainSeparator("USDC", "2", block.chainid, address(usdc));
        return keccak256(abi.encodePacked(hex"1901", domain, structHash));
    }

    function auth(bytes32 nonce) internal view returns (Auth memory) {
        return Auth(payer, payee, 100, NOW - 600, NOW + 60, nonce);
    }

    function transferDigest(Auth memory a) internal view returns (bytes32) {
        bytes32 typeHash = keccak256(
            "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
        );
        return digest(keccak256(abi.encode(typeHash, a.from, a.to, a.value, a.validAfter, a.validBefore, a.nonce)));
    }

    function receiveDigest(Auth memory a) internal view returns (bytes32) {
        bytes32 typeHash = keccak256(
            "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
        );
        return digest(keccak256(abi.encode(typeHash, a.from, a.to, a.value, a.validAfter, a.validBefore, a.nonce)));
    }

    function cancelDigest(address authorizer, bytes32 nonce) internal view returns (bytes32) {
        bytes32 typeHash = keccak256("CancelAuthorization(address authorizer,bytes32 nonce)");
        return digest(keccak256(abi.encode(typeHash, authorizer, nonce)));
    }

    function permitDigest(address owner, address spender, uint256 value, uint256 nonce, uint256 deadline)
        internal
        view
        returns (bytes32)
    {
        bytes32 typeHash =
            keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
        return digest(keccak256(abi.encode(typeHash, owner, spender, value, nonce, deadline)));
    }

    function sign(uint256 key, bytes32 hash) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, hash);
        return abi.encodePacked(r, s, v);
    }

    function split(bytes memory signature) internal pure returns (uint8 v, bytes32 r, bytes32 s) {
        require(signature.length == 65, "not 65 bytes");
        assembly ("memory-safe") {
            r := mload(add(signature, 0x20))
            s := mload(add(signature, 0x40))
            v := byte(0, mload(add(signature, 0x60)))
        }
    }

    // ---- the token's doors, by form ------------------------------------------------------------------------------------

    function transferAuthorized(Form form, Auth memory a, bytes memory signature) internal {
        if (form == Form.Bytes) {
            usdc.transferWithAuthorization(a.from, a.to, a.value, a.validAfter, a.validBefore, a.nonce, signature);
            return;
        }
        (uint8 v, bytes32 r, bytes32 s) = split(signature);
        usdc.transferWithAuthorization(a.from, a.to, a.value, a.validAfter, a.validBefore, a.nonce, v, r, s);
    }

    function receiveAuthorized(Form form, Auth memory a, bytes memory signature) internal {
        if (form == Form.Bytes) {
            usdc.receiveWithAuthorization(a.from, a.to, a.value, a.validAfter, a.validBefore, a.nonce, signature);
            return;
        }
        (uint8 v, bytes32 r, bytes32 s) = split(signature);
        usdc.receiveWithAuthorization(a.from, a.to, a.value, a.validAfter, a.validBefore, a.nonce, v, r, s);
    }

    function cancel(Form form, address authorizer, bytes32 nonce, bytes memory signature) internal {
        if (form == Form.Bytes) {
            usdc.cancelAuthorization(authorizer, nonce, signature);
            return;
        }
        (uint8 v, bytes32 r, bytes32 s) = split(signature);
        usdc.cancelAuthorization(authorizer, nonce, v, r, s);
    }

    function permit(Form form, address owner, address spender, uint256 value, uint256 deadline, bytes memory signature)
        internal
    {
        if (form == Form.Bytes) {
            usdc.permit(owner, spender, value, deadline, signature);
            return;
        }
        (uint8 v, bytes32 r, bytes32 s) = split(signature);
        usdc.permit(owner, spender, value, deadline, v, r, s);
    }

    // ---- expectations --------------------------------------------------------------------------------------------------

    function expectText(string memory text) internal {
        vm.expectRevert(abi.encodeWithSignature("Error(string)", text));
    }

    /// @dev Every unit that exists belongs to someone the tests know.
    function checkBalances(uint256 ofPayer, uint256 ofPayee) internal view {
        vm.assertEq(usdc.balanceOf(payer), ofPayer);
        vm.assertEq(usdc.balanceOf(payee), ofPayee);
        vm.assertEq(usdc.totalSupply(), ofPayer + ofPayee);
    }
}
