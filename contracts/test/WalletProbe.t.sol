// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {TestWalletFactory} from "../src/TestWalletFactory.sol";
import {WalletProbe} from "../src/WalletProbe.sol";
import {vm} from "./Vm.sol";
import {Fixture} from "./utils/Fixture.sol";

/// @title Reverts with more than anybody wants to hear
contract LongWinded {
    fallback() external {
        assembly ("memory-safe") {
            mstore(0, not(0))
            revert(0, 100000)
        }
    }
}

/// @title Payments of wallets that do not exist yet
contract WalletProbeTest is Fixture {
    uint256 private constant SALT = 7;
    uint256 private constant GAS = 400_000;

    TestWalletFactory private _factory;
    address private _wallet;

    function setUp() public override {
        super.setUp();
        bytes memory code = vm.parseJsonBytes(vm.readFile("artifacts/TestWalletFactory.json"), ".bytecode");
        _factory = TestWalletFactory(create(code));
        _wallet = _factory.getAddress(payer, SALT);
        usdc.mint(_wallet, 1000);
    }

    function test_probe_movesTheMoneyOfAWalletThatItDeploys() public {
        (WalletProbe.Outcome outcome, bytes memory reason) = _probe(_job(PAYER_KEY));
        vm.assertTrue(outcome == WalletProbe.Outcome.Moved && reason.length == 0);
        vm.assertEq(usdc.balanceOf(payee), 100);
        vm.assertTrue(_wallet.code.length != 0);
    }

    function test_probe_deployedAlready_asksNoFactory() public {
        _factory.createAccount(payer, SALT);
        WalletProbe.Try memory job = _job(PAYER_KEY);
        job.factory = address(new LongWinded());
        (WalletProbe.Outcome outcome,) = _probe(job);
        vm.assertTrue(outcome == WalletProbe.Outcome.Moved);
    }

    function test_probe_factoryThatReverts() public {
        WalletProbe.Try memory job = _job(PAYER_KEY);
        job.factory = address(new LongWinded());
        _expect(job, WalletProbe.Outcome.FactoryFailed);
    }

    function test_probe_factoryThatNeedsTooMuchGas() public {
        WalletProbe.Try memory job = _job(PAYER_KEY);
        job.factoryGas = 60_000;
        _expect(job, WalletProbe.Outcome.FactoryFailed);
    }

    function test_probe_anotherWallet() public {
        WalletProbe.Try memory job = _job(PAYER_KEY);
        job.factoryData = abi.encodeCall(TestWalletFactory.createAccount, (payer, SALT + 1));
        _expect(job, WalletProbe.Outcome.NoWallet);
    }

    function test_probe_factoryWithoutCode() public {
        WalletProbe.Try memory job = _job(PAYER_KEY);
        job.factory = address(0xFAC7);
        _expect(job, WalletProbe.Outcome.NoWallet);
    }

    function test_probe_anotherOwnersSignature_tellsTheReason() public {
        (WalletProbe.Outcome outcome, bytes memory reason) = _probe(_job(OTHER_KEY));
        vm.assertTrue(outcome == WalletProbe.Outcome.Refused);
        bytes memory expected = abi.encodeWithSignature("Error(string)", "FiatTokenV2: invalid signature");
        vm.assertTrue(keccak256(reason) == keccak256(expected));
    }

    function test_probe_transferThatNeedsTooMuchGas() public {
        WalletProbe.Try memory job = _job(PAYER_KEY);
        job.transferGas = 20_000;
        (WalletProbe.Outcome outcome, bytes memory reason) = _probe(job);
        vm.assertTrue(outcome == WalletProbe.Outcome.Refused && reason.length == 0);
    }

    function test_probe_longReason_isCut() public {
        WalletProbe.Try memory job = _job(PAYER_KEY);
        job.token = address(new LongWinded());
        (WalletProbe.Outcome outcome, bytes memory reason) = _probe(job);
        vm.assertTrue(outcome == WalletProbe.Outcome.Refused);
        vm.assertEq(reason.length, 256);
    }

    function _expect(WalletProbe.Try memory job, WalletProbe.Outcome expected) private {
        (WalletProbe.Outcome outcome, bytes memory reason) = _probe(job);
        vm.assertTrue(outcome == expected && reason.length == 0);
        vm.assertEq(_wallet.code.length, 0);
        vm.assertEq(usdc.balanceOf(payee), 0);
    }

    /// @dev What the artifact returns as its code.
    function _probe(WalletProbe.Try memory job) private returns (WalletProbe.Outcome, bytes memory) {
        bytes memory code = vm.parseJsonBytes(vm.readFile("artifacts/WalletProbe.json"), ".bytecode");
        return abi.decode(create(abi.encodePacked(code, abi.encode(job))).code, (WalletProbe.Outcome, bytes));
    }

    function _job(uint256 key) private view returns (WalletProbe.Try memory) {
        Auth memory a = Auth(_wallet, payee, 100, NOW - 600, NOW + 60, "n");
        bytes memory signature = sign(key, transferDigest(a));
        bytes memory transfer = abi.encodeWithSignature(
            "transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,bytes)",
            a.from,
            a.to,
            a.value,
            a.validAfter,
            a.validBefore,
            a.nonce,
            signature
        );
        bytes memory factoryData = abi.encodeCall(TestWalletFactory.createAccount, (payer, SALT));
        return WalletProbe.Try(address(_factory), factoryData, GAS, _wallet, address(usdc), transfer, GAS);
    }
}
