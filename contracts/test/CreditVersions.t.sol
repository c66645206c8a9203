// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Guarantee, ICreditCore} from "../src/interfaces/ICreditCore.sol";
import {vm} from "./Vm.sol";
import {CreditFixture} from "./utils/CreditFixture.sol";
import {BLS} from "solady/src/utils/ext/ithaca/BLS.sol";

/// @title Versions, keys, domains, and the four durations
contract CreditVersionsTest is CreditFixture {
    BLS.G1Point private _none;

    function test_versionOneFromTheBeginning() public view {
        ICreditCore.VersionConfig memory config = core.getGuaranteeVersionConfig(1);
        vm.assertEq(abi.encode(config.verificationKey), abi.encode(publicKey(OPERATOR_KEY)));
        bytes32 domain = keccak256(abi.encode("4MICA_CORE_GUARANTEE_V1", block.chainid, address(core)));
        vm.assertEq(config.domainSeparator, domain);
        vm.assertEq(core.guaranteeDomainSeparator(), domain);
        vm.assertEq(config.decoder, address(0));
        vm.assertTrue(config.enabled);
        (bytes32 a, bytes32 b, bytes32 c, bytes32 d) = core.GUARANTEE_VERIFICATION_KEY();
        vm.assertEq(abi.encode(a, b, c, d), abi.encode(publicKey(OPERATOR_KEY)));
        vm.assertEq(core.INITIAL_GUARANTEE_VERSION(), 1);
        vm.assertFalse(core.getGuaranteeVersionConfig(2).enabled);
    }

    function test_configure_refused() public {
        BLS.G1Point memory key = publicKey(8);
        BLS.G1Point memory off = publicKey(8);
        off.y_b = bytes32(uint256(off.y_b) ^ 1);
        address there = address(usdc);
        refused(0, key, "d", there, true, abi.encodeWithSelector(ICreditCore.UnsupportedGuaranteeVersion.selector, 0));
        refused(1, key, "d", there, true, abi.encodePacked(ICreditCore.IllegalValue.selector));
        refused(1, key, 0, address(0), true, abi.encodePacked(ICreditCore.InvalidGuaranteeDomain.selector));
        bytes memory nobody = abi.encodeWithSelector(ICreditCore.MissingGuaranteeDecoder.selector, 2);
        refused(2, key, "d", address(0), true, nobody);
        refused(2, key, "d", payee, true, nobody);
        refused(2, key, 0, there, true, abi.encodePacked(ICreditCore.InvalidGuaranteeDomain.selector));
        refused(2, _none, "d", there, true, abi.encodePacked(ICreditCore.IllegalValue.selector));
        refused(2, off, "d", there, true, abi.encodePacked(ICreditCore.IllegalValue.selector));
    }

    function test_configure_disablingKeepsWhatWas() public {
        address there = address(usdc);
        vm.startPrank(governor);
        vm.expectEmit(address(core));
        emit ICreditCore.GuaranteeVersionUpdated(2, publicKey(8), "d", there, true);
        core.configureGuaranteeVersion(2, publicKey(8), "d", there, true);
        core.configureGuaranteeVersion(2, _none, 0, address(0), false);
        ICreditCore.VersionConfig memory config = core.getGuaranteeVersionConfig(2);
        vm.assertEq(abi.encode(config), abi.encode(publicKey(8), bytes32("d"), there, false));
        core.configureGuaranteeVersion(7, _none, 0, address(0), false);
        vm.assertEq(abi.encode(core.getGuaranteeVersionConfig(7)), new bytes(7 * 32));
        vm.stopPrank();
    }

    function test_configure_versionOne() public {
        pledge(ETH, 100);
        Guarantee memory claim = claimOf(ETH, 10, 10);
        vm.warp(NOW + GRACE);
        vm.prank(governor);
        core.configureGuaranteeVersion(1, _none, 0, address(0), false);
        redeemRefused(claim, abi.encodeWithSelector(ICreditCore.UnsupportedGuaranteeVersion.selector, 1));
        BLS.G1Point memory key = publicKey(OPERATOR_KEY);
        vm.prank(governor);
        core.configureGuaranteeVersion(1, key, "new", address(0), true);
        redeemRefused(claim, ICreditCore.InvalidGuaranteeDomain.selector);
        vm.assertEq(core.guaranteeDomainSeparator(), "new");
        claim.domain = "new";
        redeem(claim);
    }

    function test_setGuaranteeVerificationKey() public {
        pledge(ETH, 100);
        Guarantee memory claim = claimOf(ETH, 10, 10);
        (bytes memory certificate,) = certify(claim);
        vm.warp(NOW + GRACE);
        BLS.G1Point memory key = publicKey(8);
        vm.expectEmit(address(core));
        emit ICreditCore.VerificationKeyUpdated(key);
        vm.prank(governor);
        core.setGuaranteeVerificationKey(key);
        redeemRefused(claim, ICreditCore.InvalidSignature.selector);
        core.remunerate(certificate, signBls(8, certificate));
        vm.expectRevert(abi.encodePacked(ICreditCore.IllegalValue.selector));
        vm.prank(governor);
        core.setGuaranteeVerificationKey(_none);
    }

    function test_anyKeyIsKept(uint256 scalar) public {
        scalar = scalar % 0x73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000000 + 1;
        BLS.G1Point memory key = publicKey(scalar);
        vm.prank(governor);
        core.setGuaranteeVerificationKey(key);
        vm.assertEq(abi.encode(core.getGuaranteeVersionConfig(1).verificationKey), abi.encode(key));
    }

    function test_verifyAndDecodeGuarantee() public view {
        Guarantee memory claim = claimOf(ETH, 10, 30);
        (bytes memory certificate, BLS.G2Point memory signature) = certify(claim);
        vm.assertEq(abi.encode(core.verifyAndDecodeGuarantee(certificate, signature)), abi.encode(claim));
    }

    function test_timing_defaults() public view {
        vm.assertEq(core.remunerationGracePeriod(), GRACE);
        vm.assertEq(core.tabExpirationTime(), EXPIRATION);
        vm.assertEq(core.synchronizationDelay(), DELAY);
        vm.assertEq(core.withdrawalGracePeriod(), WITHDRAWAL);
    }

    /// @dev Each setter changes its own value, and only when all four hold together afterwards.
    function test_timing(uint8 which, uint64 value) public {
        uint256[4] memory next = [GRACE, EXPIRATION, DELAY, WITHDRAWAL];
        uint256 seconds_ = which & 16 == 0 ? uint256(value) % (50 days) : uint256(value) * (uint256(1) << (which / 2));
        next[which % 4] = seconds_;
        bytes4[4] memory setters = [
            ICreditCore.setRemunerationGracePeriod.selector,
            ICreditCore.setTabExpirationTime.selector,
            ICreditCore.setSynchronizationDelay.selector,
            ICreditCore.setWithdrawalGracePeriod.selector
        ];
        set(abi.encodeWithSelector(setters[which % 4], seconds_), next);
    }

    function test_timing_all(uint64[4] memory raw, bool small) public {
        uint256[4] memory next = [uint256(raw[0]), raw[1], raw[2], raw[3]];
        if (small) {
            for (uint256 i = 0; i < 4; ++i) {
                next[i] %= 8;
            }
        }
        set(abi.encodeCall(ICreditCore.setTimingParameters, (next[0], next[1], next[2], next[3])), next);
    }

    function set(bytes memory call, uint256[4] memory next) private {
        bool whole = next[0] != 0 && next[1] != 0 && next[2] != 0 && next[3] != 0;
        bool fits = next[0] < 1 << 64 && next[1] < 1 << 64 && next[2] < 1 << 64 && next[3] < 1 << 64;
        bool good = whole && fits && next[0] < next[1] && next[2] + next[1] < next[3];
        uint256[4] memory before = timing();
        vm.prank(governor);
        (bool done, bytes memory why) = address(core).call(call);
        vm.assertTrue(done == good);
        vm.assertEq(abi.encode(timing()), abi.encode(good ? next : before));
        if (good) return;
        bytes4 problem = whole || !fits ? ICreditCore.IllegalValue.selector : ICreditCore.AmountZero.selector;
        vm.assertEq(why, abi.encodePacked(problem));
    }

    function timing() private view returns (uint256[4] memory) {
        return [
            core.remunerationGracePeriod(),
            core.tabExpirationTime(),
            core.synchronizationDelay(),
            core.withdrawalGracePeriod()
        ];
    }

    function refused(
        uint64 version,
        BLS.G1Point memory key,
        bytes32 domain,
        address decoder,
        bool enabled,
        bytes memory problem
    ) private {
        vm.expectRevert(problem);
        vm.prank(governor);
        core.configureGuaranteeVersion{gas: 10_000_000}(version, key, domain, decoder, enabled);
    }
}
