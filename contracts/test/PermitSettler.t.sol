// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IPermitSettler} from "../src/interfaces/IPermitSettler.sol";
import {Vm, vm} from "./Vm.sol";
import {PermitFixture} from "./utils/PermitFixture.sol";
import {OwnerWallet} from "./utils/Wallets.sol";

/// @title Signed payments of three kinds on a token that behaves, from the committed artifact
contract PermitSettlerTest is PermitFixture {
    bytes32 private constant CODE_HASH = 0x0511b6bdf534fe3281ece1a131ec21ff43f359b902b22581f438c4791b8b2334;

    // ---- where it is ---------------------------------------------------------------------------------------------------

    function test_create2_oneAddressPerTreasury() public {
        bytes32 initCodeHash = keccak256(settlerCode(payee));
        bytes32 hash = keccak256(abi.encodePacked(hex"ff", DEPLOYER, bytes32(0), initCodeHash));
        vm.assertEq(address(settler), address(uint160(uint256(hash))));
        vm.assertEq(settler.TREASURY(), payee);

        IPermitSettler other = settlerFor(relayer);
        vm.assertTrue(address(other) != address(settler));
        vm.assertEq(other.TREASURY(), relayer);
        vm.assertEq(keccak256(vm.parseJsonBytes(vm.readFile("artifacts/PermitSettler.json"), ".bytecode")), CODE_HASH);
    }

    function test_create2_refusesNobody() public {
        (bool success,) = DEPLOYER.call(abi.encodePacked(bytes32(0), settlerCode(address(0))));
        vm.assertFalse(success);
    }

    /// @dev No other creation code gets this address, so the artifact is the true Permit2.
    function test_permit2_isTheCanonicalOne() public view {
        vm.assertEq(PERMIT2.code.length, 9152);
        vm.assertEq(settler.PERMIT2(), PERMIT2);
        string memory artifact = vm.readFile("artifacts/Permit2.json");
        bytes32 initCodeHash = keccak256(vm.parseJsonBytes(artifact, ".bytecode"));
        bytes32 salt = bytes32(vm.parseJsonBytes(artifact, ".salt"));
        bytes32 hash = keccak256(abi.encodePacked(hex"ff", DEPLOYER, salt, initCodeHash));
        vm.assertEq(PERMIT2, address(uint160(uint256(hash))));
    }

    // ---- each kind -----------------------------------------------------------------------------------------------------

    function testFuzz_settleOne_movesWhatWasSignedOnce(uint8 kind, uint256 nonce, uint256 value) public {
        IPermitSettler.Kind which = IPermitSettler.Kind(kind % 3);
        value %= 501;
        if (which == IPermitSettler.Kind.Permit) nonce = 0;
        IPermitSettler.Item memory item = itemOf(which, nonce, value);
        settler.settleOne(item);
        checkPaid(value);
        checkSettled(settler.settle(one(item), GAS), 0);
        checkPaid(value);
    }

    function test_settle_saysWhatWasCollected() public {
        vm.expectEmit(address(settler));
        emit IPermitSettler.Collected(address(usdc), payer, 0, 100);
        settler.settleOne(permitItem(0, 100));
        vm.expectEmit(address(settler));
        emit IPermitSettler.Collected(address(usdc), payer, 77, 50);
        settler.settle(one(permit2Item(77, 50)), GAS);
        vm.assertTrue(settler.collected(address(usdc), payer, 0));
        vm.assertFalse(settler.collected(address(usdc), payer, 1));
        checkPaid(150);
    }

    function test_settle_permitsInARow() public {
        IPermitSettler.Item[] memory items = new IPermitSettler.Item[](5);
        for (uint256 i = 0; i < 5; ++i) {
            items[i] = permitItem(i, 10 + i);
        }
        checkSettled(settler.settle(items, GAS), 0x1f);
        checkPaid(60);
        vm.assertEq(usdc.allowance(payer, address(settler)), 0);
    }

    /// @dev One changed field each; 27 and 28 are exchanged by v.
    function testFuzz_settle_refusesWhatWasNotSigned(uint8 kind, uint8 field, bool seen) public {
        kind %= 3;
        IPermitSettler.Item memory item = itemOf(IPermitSettler.Kind(kind), 0, 100);
        if (seen && kind != 2) frontRun(item);
        uint256 held = usdc.balanceOf(address(settler));
        field %= 8;
        if (field == 0) item.payer = vm.addr(OTHER_KEY);
        else if (field == 1) item.value -= 1;
        else if (field == 2) item.deadline += 1;
        else if (field == 3) item.nonce += 1;
        else if (field == 4) item.v ^= 7;
        else if (field == 5) item.r ^= bytes32(uint256(1));
        else if (field == 6) item.s ^= bytes32(uint256(1));
        else item.kind = IPermitSettler.Kind((kind + 1) % 3);
        checkSettled(settler.settle(one(item), GAS), 0);
        // What an executed authorization brought here may be handed on; nothing else moves.
        vm.assertEq(usdc.balanceOf(payer), 1000 - held);
        vm.assertEq(usdc.balanceOf(payee) + usdc.balanceOf(address(settler)), held);
    }

    function test_settle_respectsTheTimes() public {
        vm.warp(NOW + 60);
        checkRefusedText(authorizationItem(1, 100), "FiatTokenV2: authorization is expired");
        settler.settleOne(permitItem(0, 100));
        settler.settleOne(permit2Item(1, 100));
        vm.warp(NOW + 61);
        checkRefusedText(permitItem(1, 100), "FiatTokenV2: permit is expired");
        checkRefused(permit2Item(2, 100), abi.encodeWithSignature("SignatureExpired(uint256)", NOW + 60));
        vm.warp(NOW - 600);
        checkRefusedText(authorizationItem(1, 100), "FiatTokenV2: authorization is not yet valid");
        checkPaid(200);
    }

    function test_settle_payerWithTooLittleKeepsEverything() public {
        IPermitSettler.Item memory item = permitItem(0, 1001);
        checkRefusedText(item, "ERC20: transfer amount exceeds balance");
        vm.assertEq(usdc.nonces(payer), 0);
        vm.assertEq(usdc.allowance(payer, address(settler)), 0);
        checkRefusedText(authorizationItem(0, 1001), "ERC20: transfer amount exceeds balance");
        checkRefusedText(permit2Item(0, 1001), "TRANSFER_FROM_FAILED");
        checkPaid(0);
        // Nothing was used up: the same signature pays when there is enough.
        usdc.mint(payer, 1);
        settler.settleOne(item);
        vm.assertEq(usdc.balanceOf(payee), 1001);
    }

    function test_settle_refusesATokenWithoutCode() public {
        for (uint8 kind = 0; kind < 3; ++kind) {
            IPermitSettler.Item memory item = itemOf(IPermitSettler.Kind(kind), 0, 100);
            item.token = address(0x1234);
            checkRefusedError(item, IPermitSettler.NoToken.selector);
        }
    }

    // ---- permits ------------------------------------------------------------------------------------------------------

    function test_permit_paysWhenSomebodyUsedItFirst() public {
        IPermitSettler.Item memory item = permitItem(0, 100);
        frontRun(item);
        checkSettled(settler.settle(one(item), GAS), 1);
        checkRefusedError(item, IPermitSettler.AlreadyCollected.selector);
        checkPaid(100);
    }

    function test_permit_ofAContractWallet() public {
        OwnerWallet wallet = new OwnerWallet(payer);
        usdc.mint(address(wallet), 300);
        for (uint256 nonce = 0; nonce < 2; ++nonce) {
            bytes32 hash = permitDigest(address(wallet), address(settler), 100, nonce, NOW + 60);
            (uint8 v, bytes32 r, bytes32 s) = vm.sign(PAYER_KEY, hash);
            IPermitSettler.Item memory item = IPermitSettler.Item(
                IPermitSettler.Kind.Permit, address(usdc), address(wallet), 100, 0, NOW + 60, nonce, v, r, s
            );
            if (nonce == 1) frontRun(item);
            settler.settleOne(item);
        }
        vm.assertEq(usdc.balanceOf(payee), 200);
    }

    /// @dev The allowance of another permit, or one given by hand, is no reason to collect a permit again.
    function test_permit_isCollectedOnceWhateverAllowanceThereIs() public {
        IPermitSettler.Item memory first = permitItem(0, 100);
        settler.settleOne(first);
        vm.prank(payer);
        require(usdc.approve(address(settler), 500), "refused");
        checkRefusedError(first, IPermitSettler.AlreadyCollected.selector);
        frontRun(permitItem(1, 300));
        checkRefusedError(first, IPermitSettler.AlreadyCollected.selector);
        checkPaid(100);
    }

    /// @dev Nobody can use an allowance without the payer's signature over this very permit.
    function test_permit_needsItsOwnSignatureBesideAnAllowance() public {
        vm.prank(payer);
        require(usdc.approve(address(settler), 500), "refused");
        IPermitSettler.Item memory forged = permitItem(OTHER_KEY, 0, 100);
        forged.payer = payer;
        checkRefusedText(forged, "EIP2612: invalid signature");
        frontRun(permitItem(0, 500));
        checkRefusedError(forged, IPermitSettler.NotSigned.selector);
        forged.v = 0;
        checkRefusedError(forged, IPermitSettler.NotSigned.selector);
        checkPaid(0);
    }

    function test_permit_usedFirstStillExpires() public {
        IPermitSettler.Item memory item = permitItem(0, 100);
        frontRun(item);
        vm.warp(NOW + 61);
        checkRefusedError(item, IPermitSettler.Expired.selector);
        vm.warp(NOW + 60);
        settler.settleOne(item);
        checkPaid(100);
    }

    /// @dev Each permit replaces the allowance of the one before, so the one before has none left.
    function test_permit_replacedOrNotYetDue() public {
        IPermitSettler.Item memory first = permitItem(0, 100);
        IPermitSettler.Item memory second = permitItem(1, 200);
        checkRefused(second, abi.encodeWithSelector(IPermitSettler.NonceMismatch.selector, 0));
        frontRun(first);
        frontRun(second);
        checkRefused(first, abi.encodeWithSelector(IPermitSettler.NonceMismatch.selector, 2));
        settler.settleOne(second);
        checkPaid(200);
    }

    function test_permit_bitsDoNotTouchEachOther() public {
        for (uint256 nonce = 0; nonce < 258; ++nonce) {
            vm.assertFalse(settler.collected(address(usdc), payer, nonce));
            settler.settleOne(permitItem(nonce, 1));
            vm.assertTrue(settler.collected(address(usdc), payer, nonce));
        }
        checkPaid(258);
    }

    /// @dev A permit for one treasury's settler is nothing to another's.
    function test_permit_isForOneTreasury() public {
        IPermitSettler.Item memory permit = permitItem(0, 100);
        IPermitSettler.Item memory authorization = authorizationItem(0, 100);
        IPermitSettler.Item memory permit2 = permit2Item(0, 100);
        settler = settlerFor(relayer);
        checkRefusedText(permit, "EIP2612: invalid signature");
        checkRefusedText(authorization, "FiatTokenV2: invalid signature");
        checkRefused(permit2, abi.encodeWithSignature("InvalidSigner()"));
        checkPaid(0);
    }

    // ---- authorizations -------------------------------------------------------------------------------------------------

    function test_authorization_executedBySomebodyElseGoesToTheTreasuryOnce() public {
        IPermitSettler.Item memory item = authorizationItem(1, 100);
        frontRun(item);
        vm.assertEq(usdc.balanceOf(address(settler)), 100);
        vm.expectRevert(abi.encodeWithSelector(IPermitSettler.AlreadyUsed.selector));
        settler.settleOne(item);
        // The batch says what it knows, and hands on what is there.
        vm.expectEmit(address(settler));
        bytes memory reason = abi.encodeWithSelector(IPermitSettler.AlreadyUsed.selector);
        emit IPermitSettler.ItemFailed(0, payer, 1, reason);
        checkSettled(settler.settle(one(item), GAS), 0);
        checkPaid(100);
        checkRefusedError(item, IPermitSettler.AlreadyUsed.selector);
        checkPaid(100);
    }

    function test_authorization_forwardIsForAnyone() public {
        frontRun(authorizationItem(1, 100));
        vm.prank(relayer);
        vm.assertEq(settler.forward(address(usdc)), 100);
        vm.assertEq(settler.forward(address(usdc)), 0);
        checkPaid(100);
    }

    /// @dev The token's state cannot tell a canceled authorization from an executed one, so somebody else's money that
    /// waits here must not make it look paid.
    function test_authorization_canceledIsNotPaidByAnother() public {
        IPermitSettler.Item memory canceled = authorizationItem(1, 100);
        cancel(Form.Vrs, payer, bytes32(uint256(1)), sign(PAYER_KEY, cancelDigest(payer, bytes32(uint256(1)))));
        frontRun(authorizationItem(2, 100));
        checkSettled(settler.settle(one(canceled), GAS), 0);
        checkPaid(100);
    }

    function test_authorization_isHandedOnOncePerRun() public {
        IPermitSettler.Item[] memory items = new IPermitSettler.Item[](6);
        items[0] = authorizationItem(1, 1);
        items[1] = authorizationItem(2, 2);
        items[2] = permitItem(0, 4);
        items[3] = authorizationItem(3, 8);
        items[4] = authorizationItem(4, 16);
        items[5] = permit2Item(1, 32);
        vm.recordLogs();
        checkSettled(settler.settle(items, GAS), 0x3f);
        uint256 handedOn = 0;
        Vm.Log[] memory logs = vm.getRecordedLogs();
        bytes32 transfer = keccak256("Transfer(address,address,uint256)");
        bytes32 from = bytes32(uint256(uint160(address(settler))));
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].topics[0] == transfer && logs[i].topics[1] == from) ++handedOn;
        }
        vm.assertEq(handedOn, 2);
        checkPaid(63);
    }

    function test_authorization_ofThisContractOnly() public {
        Auth memory a = auth("elsewhere");
        a.to = relayer;
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(PAYER_KEY, transferDigest(a));
        checkRefusedText(
            IPermitSettler.Item(
                IPermitSettler.Kind.Authorization,
                address(usdc),
                payer,
                a.value,
                a.validAfter,
                a.validBefore,
                uint256(a.nonce),
                v,
                r,
                s
            ),
            "FiatTokenV2: invalid signature"
        );
    }

    // ---- batches --------------------------------------------------------------------------------------------------------

    function test_settle_refusesEmptyAndTooMany() public {
        vm.expectRevert(abi.encodeWithSelector(IPermitSettler.EmptyBatch.selector));
        settler.settle(new IPermitSettler.Item[](0), 0);
        vm.expectRevert(abi.encodeWithSelector(IPermitSettler.TooManyItems.selector, 257));
        settler.settle(new IPermitSettler.Item[](257), 0);
    }

    function test_settle_refusesTooLittleGas() public {
        IPermitSettler.Item[] memory items = _mixed();
        vm.expectRevert(abi.encodeWithSelector(IPermitSettler.NotEnoughGas.selector, 0));
        settler.settle{gas: 3 * GAS}(items, GAS);
        vm.expectRevert(abi.encodeWithSelector(IPermitSettler.NotEnoughGas.selector, 0));
        settler.settle(items, type(uint256).max);
        checkPaid(0);
    }

    /// @dev Any of 12 items damaged: the others pay, and the sum is right. A damaged permit takes along the later ones
    /// of its payer, whose nonces do not come.
    function testFuzz_settle_failuresLeaveOthersAlone(uint16 damaged) public {
        IPermitSettler.Item[] memory items = new IPermitSettler.Item[](12);
        uint256 permits = 0;
        for (uint256 i = 0; i < 12; ++i) {
            IPermitSettler.Kind kind = IPermitSettler.Kind(i % 3);
            items[i] = itemOf(kind, kind == IPermitSettler.Kind.Permit ? permits++ : i, 1 + i);
        }
        uint256 mask = 0;
        uint256 sum = 0;
        bool broken = false;
        for (uint256 i = 0; i < 12; ++i) {
            if (damaged >> i & 1 == 1) items[i].s = bytes32(uint256(1));
            if (damaged >> i & 1 == 1 && i % 3 == 0) broken = true;
            if (damaged >> i & 1 == 1 || (i % 3 == 0 && broken)) continue;
            mask |= 1 << i;
            sum += items[i].value;
        }
        checkSettled(settler.settle(items, GAS), mask);
        checkPaid(sum);
    }

    /// @dev Who calls first changes nothing but who pays the gas.
    function test_settle_afterSomebodyElseSettled() public {
        IPermitSettler.Item[] memory items = _mixed();
        vm.prank(address(0xBAD));
        checkSettled(settler.settle(items, 0), 7);
        checkPaid(60);
        checkSettled(settler.settle(items, GAS), 0);
        checkPaid(60);
    }

    function test_gas_settle() public {
        usdc.mint(payee, 1);
        usdc.mint(payer, 1e6);
        settler.settleOne(permitItem(0, 1));
        settler.settleOne(permit2Item(0, 1));
        uint256[3] memory counts = [uint256(1), 10, 100];
        uint256 permits = 1;
        for (uint256 kind = 0; kind < 3; ++kind) {
            for (uint256 i = 0; i < 3; ++i) {
                uint256 first = kind == 0 ? permits : 1000 * (1 + i);
                if (kind == 0) permits += counts[i];
                _measure(IPermitSettler.Kind(kind), counts[i], first);
            }
        }
    }

    function test_gas_settleOne() public {
        usdc.mint(payee, 1);
        settler.settleOne(permitItem(0, 100));
        vm.snapshotGasLastCall("PermitSettler", "permit, first of its payer, alone");
        settler.settleOne(permitItem(1, 100));
        vm.snapshotGasLastCall("PermitSettler", "permit, alone");
        settler.settleOne(authorizationItem(1, 100));
        vm.snapshotGasLastCall("PermitSettler", "authorization, alone");
        settler.settleOne(permit2Item(1, 100));
        vm.snapshotGasLastCall("PermitSettler", "permit2, first of 256 nonces, alone");
        IPermitSettler.Item memory item = permitItem(2, 100);
        frontRun(item);
        settler.settleOne(item);
        vm.snapshotGasLastCall("PermitSettler", "permit that somebody used first, alone");
    }

    /// @dev The dearest batch: nobody has paid before, so every payer's nonce and bit are written for the first time.
    function test_gas_settleNewPayers() public {
        usdc.mint(payee, 1);
        for (uint256 kind = 0; kind < 2; ++kind) {
            IPermitSettler.Item[] memory items = new IPermitSettler.Item[](100);
            for (uint256 i = 0; i < 100; ++i) {
                uint256 key = 1e6 * (1 + kind) + i;
                usdc.mint(vm.addr(key), 1000);
                items[i] = kind == 0 ? permitItem(key, 0, 100) : authorizationItem(key, 0, 100);
            }
            bool[] memory settled = settler.settle(items, GAS);
            string memory name =
                kind == 0 ? "100 permit, each of a new payer" : "100 authorization, each of a new payer";
            vm.snapshotGasLastCall("PermitSettler", name);
            checkSettled(settled, type(uint256).max);
        }
    }

    function _measure(IPermitSettler.Kind kind, uint256 count, uint256 first) private {
        IPermitSettler.Item[] memory items = new IPermitSettler.Item[](count);
        for (uint256 i = 0; i < count; ++i) {
            // Nonces as the clients choose them: milliseconds, then 16 random bits.
            items[i] = itemOf(kind, kind == IPermitSettler.Kind.Permit2 ? (first + i) << 16 : first + i, 100);
        }
        bool[] memory settled = settler.settle(items, GAS);
        string memory name = count == 1 ? "1 " : count == 10 ? "10 " : "100 ";
        string memory what = kind == IPermitSettler.Kind.Permit
            ? "permit"
            : kind == IPermitSettler.Kind.Authorization ? "authorization" : "permit2";
        vm.snapshotGasLastCall("PermitSettler", string.concat(name, what));
        checkSettled(settled, type(uint256).max);
    }

    function _mixed() private view returns (IPermitSettler.Item[] memory items) {
        items = new IPermitSettler.Item[](3);
        items[0] = permitItem(0, 10);
        items[1] = authorizationItem(0, 20);
        items[2] = permit2Item(0, 30);
    }
}
