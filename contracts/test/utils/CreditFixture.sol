// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Guarantee, ICreditCore} from "../../src/interfaces/ICreditCore.sol";
import {vm} from "../Vm.sol";
import {Fixture} from "./Fixture.sol";
import {IAccessManager} from "@openzeppelin/contracts/access/manager/IAccessManager.sol";
import {BLS} from "solady/src/utils/ext/ithaca/BLS.sol";

/// @title What every test of the credit core starts from
/// @notice The committed artifacts, with ETH and test USDC; a payer with collateral to come, and an operator whose BLS key the
/// tests sign certificates with.
abstract contract CreditFixture is Fixture {
    uint64 internal constant GOVERNANCE = 1;
    uint64 internal constant GUARDIAN = 3;
    uint64 internal constant OPERATOR = 4;
    uint256 internal constant OPERATOR_KEY = 7;
    uint256 internal constant TAB = 0x7ab;
    uint256 internal constant GRACE = 14 days;
    uint256 internal constant EXPIRATION = 21 days;
    uint256 internal constant DELAY = 6 hours;
    uint256 internal constant WITHDRAWAL = 22 days;
    address internal constant ETH = address(0);

    ICreditCore internal core;
    IAccessManager internal manager;
    address internal governor = address(0x6011);
    address internal guardian = address(0x6012);
    address internal operator = address(0x6013);

    function setUp() public virtual override {
        super.setUp();
        manager = IAccessManager(create(abi.encodePacked(code("CreditManager"), abi.encode(address(this)))));
        address[] memory tokens = new address[](1);
        tokens[0] = address(usdc);
        core = newCore(tokens);
        openTo(GOVERNANCE, governor, governed());
        bytes4[] memory one = new bytes4[](1);
        one[0] = ICreditCore.pause.selector;
        openTo(GUARDIAN, guardian, one);
        bytes4[] memory records = new bytes4[](3);
        records[0] = ICreditCore.recordPayment.selector;
        records[1] = ICreditCore.recordPaymentById.selector;
        records[2] = ICreditCore.recordPaymentsById.selector;
        openTo(OPERATOR, operator, records);
        vm.deal(payer, 1000 ether);
        usdc.mint(payer, 1e12);
        vm.prank(payer);
        require(usdc.approve(address(core), type(uint256).max), "refused");
    }

    function newCore(address[] memory tokens) internal returns (ICreditCore) {
        bytes memory arguments = abi.encode(address(manager), publicKey(OPERATOR_KEY), tokens);
        return ICreditCore(create(abi.encodePacked(code("CreditCore"), arguments)));
    }

    function governed() internal pure returns (bytes4[] memory selectors) {
        selectors = new bytes4[](9);
        selectors[0] = ICreditCore.addAsset.selector;
        selectors[1] = ICreditCore.configureGuaranteeVersion.selector;
        selectors[2] = ICreditCore.setGuaranteeVerificationKey.selector;
        selectors[3] = ICreditCore.setRemunerationGracePeriod.selector;
        selectors[4] = ICreditCore.setTabExpirationTime.selector;
        selectors[5] = ICreditCore.setSynchronizationDelay.selector;
        selectors[6] = ICreditCore.setWithdrawalGracePeriod.selector;
        selectors[7] = ICreditCore.setTimingParameters.selector;
        selectors[8] = ICreditCore.unpause.selector;
    }

    function code(string memory name) internal view returns (bytes memory) {
        return vm.parseJsonBytes(vm.readFile(string.concat("artifacts/", name, ".json")), ".bytecode");
    }

    function openTo(uint64 role, address holder, bytes4[] memory selectors) internal {
        manager.setTargetFunctionRole(address(core), selectors, role);
        manager.grantRole(role, holder, 0);
    }

    // ---- calls -----------------------------------------------------------------------------------------------------------

    function pledge(address asset, uint256 amount) internal {
        vm.prank(payer);
        if (asset == ETH) core.deposit{value: amount}();
        else core.depositStablecoin(asset, amount);
    }

    function ask(address asset, uint256 amount) internal {
        vm.prank(payer);
        core.requestWithdrawal(asset, amount);
    }

    function record(bytes32 id, address asset, uint256 amount) internal {
        vm.prank(operator);
        core.recordPaymentById(id, TAB, asset, amount);
    }

    function redeem(Guarantee memory claim) internal {
        (bytes memory certificate, BLS.G2Point memory signature) = certify(claim);
        core.remunerate(certificate, signature);
    }

    /// @dev What redeeming must revert with.
    function redeemRefused(Guarantee memory claim, bytes4 problem) internal {
        redeemRefused(claim, abi.encodePacked(problem));
    }

    function redeemRefused(Guarantee memory claim, bytes memory problem) internal {
        (bytes memory certificate, BLS.G2Point memory signature) = certify(claim);
        vm.expectRevert(problem);
        core.remunerate(certificate, signature);
    }

    // ---- certificates ----------------------------------------------------------------------------------------------------

    /// @dev The `number`th guarantee of the tab, given now: ten more each time unless the test says otherwise.
    function claimOf(address asset, uint256 amount, uint256 total) internal view returns (Guarantee memory) {
        return Guarantee({
            domain: core.guaranteeDomainSeparator(),
            tabId: TAB,
            reqId: total / amount - 1,
            client: payer,
            recipient: payee,
            amount: amount,
            totalAmount: total,
            asset: asset,
            timestamp: uint64(block.timestamp),
            version: 1
        });
    }

    function certify(Guarantee memory claim)
        internal
        view
        returns (bytes memory certificate, BLS.G2Point memory signature)
    {
        certificate = abi.encode(uint64(1), abi.encode(claim));
        signature = signBls(OPERATOR_KEY, certificate);
    }

    function signBls(uint256 key, bytes memory message) internal view returns (BLS.G2Point memory) {
        BLS.G2Point[] memory points = new BLS.G2Point[](1);
        points[0] = BLS.hashToG2(message);
        return BLS.msm(points, scalars(key));
    }

    function publicKey(uint256 key) internal view returns (BLS.G1Point memory) {
        BLS.G1Point[] memory points = new BLS.G1Point[](1);
        points[0] = BLS.G1Point({
            x_a: 0x0000000000000000000000000000000017f1d3a73197d7942695638c4fa9ac0f,
            x_b: 0xc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb,
            y_a: 0x0000000000000000000000000000000008b3f481e3aaa0f1a09e30ed741d8ae4,
            y_b: 0xfcf5e095d5d00af600db18cb2c04b3edd03cc744a2888ae40caa232946c5e7e1
        });
        return BLS.msm(points, scalars(key));
    }

    function scalars(uint256 key) private pure returns (bytes32[] memory list) {
        list = new bytes32[](1);
        list[0] = bytes32(key);
    }
}
