// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {TestWallet, TestWalletFactory} from "../src/TestWalletFactory.sol";
import {vm} from "./Vm.sol";
import {Fixture} from "./utils/Fixture.sol";

/// @title Wallets that exist only once they are needed
contract TestWalletFactoryTest is Fixture {
    TestWalletFactory private _factory;

    function setUp() public override {
        super.setUp();
        bytes memory code = vm.parseJsonBytes(vm.readFile("artifacts/TestWalletFactory.json"), ".bytecode");
        _factory = TestWalletFactory(create(code));
    }

    function test_createAccount_isWhereItSaidAndAgain() public {
        address wallet = _factory.getAddress(payer, 7);
        vm.assertEq(wallet.code.length, 0);
        vm.assertTrue(_factory.createAccount(payer, 7) == wallet);
        vm.assertTrue(wallet.code.length != 0);
        vm.assertTrue(_factory.createAccount(payer, 7) == wallet);
        vm.assertTrue(TestWallet(wallet).OWNER() == payer);
        vm.assertTrue(_factory.getAddress(payer, 8) != wallet);
    }

    function test_isValidSignature_ownerOnly() public {
        TestWallet wallet = TestWallet(_factory.createAccount(payer, 1));
        bytes32 digest = keccak256("x");
        vm.assertTrue(wallet.isValidSignature(digest, sign(PAYER_KEY, digest)) == bytes4(0x1626ba7e));
        vm.assertTrue(wallet.isValidSignature(digest, sign(OTHER_KEY, digest)) == bytes4(0xffffffff));
        vm.assertTrue(wallet.isValidSignature(digest, "") == bytes4(0xffffffff));
    }
}
