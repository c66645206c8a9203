// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IPermitSettler} from "../src/interfaces/IPermitSettler.sol";
import {vm} from "./Vm.sol";
import {PermitFixture} from "./utils/PermitFixture.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

/// @title A permit token whose transferFrom answers and behaves in one odd way
contract OddPermitToken is ERC20Permit {
    enum Way {
        Silent, // moves, says nothing
        False, // moves nothing, says false
        Two, // moves, says 2
        Short, // moves, says one byte
        Endless, // moves, takes nothing off the allowance
        Long // refuses in 100,000 bytes
    }

    Way private immutable WAY;

    constructor(Way way) ERC20("Odd", "ODD") ERC20Permit("Odd") {
        WAY = way;
    }

    function mint(address to, uint256 value) external {
        _mint(to, value);
    }

    function transferFrom(address from, address to, uint256 value) public override returns (bool) {
        Way way = WAY;
        if (way == Way.False) return false;
        if (way == Way.Long) {
            assembly ("memory-safe") {
                revert(0x10000, 100000)
            }
        }
        if (way != Way.Endless) _spendAllowance(from, msg.sender, value);
        _transfer(from, to, value);
        assembly ("memory-safe") {
            mstore(0, 2)
            switch way
            case 0 { return(0, 0) }
            case 2 { return(0, 32) }
            case 3 { return(0, 1) }
        }
        return true;
    }
}

/// @title A wrapped coin of the old kind: real allowances, and a fallback that takes any call and does nothing
contract PhantomToken is ERC20 {
    bool private immutable COUNTS;

    constructor(bool counts) ERC20("Phantom", "PHM") {
        COUNTS = counts;
    }

    function mint(address to, uint256 value) external {
        _mint(to, value);
    }

    fallback() external {
        if (!COUNTS) return;
        // A nonce it counts for something else, and never for permits.
        assembly ("memory-safe") {
            mstore(0, 5)
            return(0, 32)
        }
    }
}

/// @title A token that tells the payer's contract before it moves its money, which then calls the settler again
contract HookToken is ERC20Permit {
    bytes private _again;
    address private _settler;
    uint256 public refusals;

    constructor() ERC20("Hook", "HK") ERC20Permit("Hook") {}

    function mint(address to, uint256 value) external {
        _mint(to, value);
    }

    function arm(address settler, bytes calldata again) external {
        _settler = settler;
        _again = again;
    }

    function transferFrom(address from, address to, uint256 value) public override returns (bool) {
        (bool success,) = _settler.call(_again);
        if (!success) refusals += 1;
        return super.transferFrom(from, to, value);
    }
}

/// @title A token that burns what it is given and then refuses in 256 bytes
contract GreedyToken {
    fallback() external {
        assembly ("memory-safe") {
            for {} gt(gas(), 400) {} {}
            revert(0x80, 256)
        }
    }
}

/// @title A token of which this contract holds something, and which burns all gas whenever it is to move
contract StickyToken {
    function balanceOf(address) external pure returns (uint256) {
        return 1;
    }

    function transferWithAuthorization(address, address, uint256, uint256, uint256, bytes32, uint8, bytes32, bytes32)
        external {}

    fallback() external {
        assembly ("memory-safe") {
            for {} gt(gas(), 400) {} {}
            revert(0x80, 256)
        }
    }
}

/// @title Measures a call from inside a transaction, without what the transaction itself costs
contract PermitMeter {
    /// @notice The gas that a call burns.
    function burnt(address target, bytes calldata data) external returns (uint256) {
        bytes memory input = data;
        uint256 before = gasleft();
        (bool success,) = target.call(input);
        uint256 left = gasleft();
        require(success, "failed");
        return before - left;
    }

    /// @notice Whether a call succeeds with so much gas.
    function passes(address target, bytes calldata data, uint256 gasLimit) external returns (bool success) {
        bytes memory input = data;
        (success,) = target.call{gas: gasLimit}(input);
    }
}

/// @title Signed payments on tokens that misbehave
contract PermitSettlerHostileTest is PermitFixture {
    function test_transfer_oddAnswers() public {
        _checkOdd(OddPermitToken.Way.Silent, true, "");
        _checkOdd(OddPermitToken.Way.False, false, abi.encodeWithSelector(IPermitSettler.Refused.selector));
        _checkOdd(OddPermitToken.Way.Two, false, abi.encodeWithSelector(IPermitSettler.Refused.selector));
        _checkOdd(OddPermitToken.Way.Short, false, abi.encodeWithSelector(IPermitSettler.Refused.selector));
        _checkOdd(OddPermitToken.Way.Endless, true, "");
        _checkOdd(OddPermitToken.Way.Long, false, new bytes(256));
    }

    function _checkOdd(OddPermitToken.Way way, bool pays, bytes memory reason) private {
        OddPermitToken token = new OddPermitToken(way);
        token.mint(payer, 1000);
        IPermitSettler.Item[] memory items = new IPermitSettler.Item[](3);
        items[0] = permitItem(usdc.nonces(payer), 10);
        items[1] = _permitOn(token, 0, 100);
        items[2] = permitItem(usdc.nonces(payer) + 1, 10);
        uint256 before = usdc.balanceOf(payee);
        if (!pays) {
            vm.expectEmit(address(settler));
            emit IPermitSettler.Collected(address(usdc), payer, items[0].nonce, 10);
            vm.expectEmit(address(settler));
            emit IPermitSettler.ItemFailed(1, payer, 0, reason);
        }
        checkSettled(settler.settle(items, GAS), pays ? 7 : 5);
        vm.assertEq(usdc.balanceOf(payee), before + 20);
        vm.assertEq(token.balanceOf(payee), pays ? 100 : 0);
        // Also where the allowance is still there.
        checkSettled(settler.settle(one(items[1]), GAS), 0);
        vm.assertEq(token.balanceOf(payee), pays ? 100 : 0);
    }

    /// @dev The trap of tokens that take any call without looking: an allowance from elsewhere, and nobody's signature.
    function test_permit_thatNobodyChecksMovesNothing() public {
        for (uint256 counts = 0; counts < 2; ++counts) {
            PhantomToken token = new PhantomToken(counts == 1);
            token.mint(payer, 1000);
            vm.prank(payer);
            token.approve(address(settler), 1000);
            IPermitSettler.Item memory forged = permitItem(OTHER_KEY, 5, 100);
            forged.token = address(token);
            forged.payer = payer;
            if (counts == 1) checkRefusedError(forged, IPermitSettler.PermitIgnored.selector);
            else checkRefused(forged, "");
            forged.nonce = 4;
            if (counts == 1) checkRefusedError(forged, IPermitSettler.NotSigned.selector);
            // Recovery answers zero for what nobody can have signed.
            forged.payer = address(0);
            forged.v = 0;
            if (counts == 1) checkRefusedError(forged, IPermitSettler.NotSigned.selector);
            vm.assertEq(token.balanceOf(payer), 1000);
        }
    }

    /// @dev The same item, alone or in a batch, another of the same batch, and the handing on, all from inside.
    function test_settle_reentered() public {
        for (uint256 way = 0; way < 3; ++way) {
            HookToken token = new HookToken();
            token.mint(payer, 1000);
            IPermitSettler.Item[] memory items = new IPermitSettler.Item[](2);
            items[0] = _permitOn(token, 0, 100);
            items[1] = permitItem(way, 10);
            bytes memory again;
            if (way == 0) again = abi.encodeCall(IPermitSettler.settleOne, (items[0]));
            if (way == 1) again = abi.encodeCall(IPermitSettler.settle, (items, 0));
            if (way == 2) again = abi.encodeCall(IPermitSettler.forward, (address(usdc)));
            token.arm(address(settler), again);
            if (way == 2) frontRun(authorizationItem(way, 5));
            // In the second round the nested batch pays the second item; the outer one finds it paid.
            checkSettled(settler.settle(items, 5 * GAS), way == 1 ? 1 : 3);
            vm.assertEq(token.refusals(), way == 0 ? 1 : 0);
            vm.assertEq(token.balanceOf(payee), 100);
            vm.assertEq(token.balanceOf(payer), 900);
            vm.assertEq(usdc.balanceOf(payee), (way + 1) * 10 + (way == 2 ? 5 : 0));
        }
        checkPaid(35);
    }

    function test_forward_thatFailsLeavesTheRestAlone() public {
        StickyToken sticky = new StickyToken();
        IPermitSettler.Item[] memory items = new IPermitSettler.Item[](3);
        items[0] = authorizationItem(1, 100);
        items[1] = authorizationItem(2, 100);
        items[1].token = address(sticky);
        items[2] = authorizationItem(3, 100);
        vm.expectEmit(address(settler));
        emit IPermitSettler.ForwardFailed(address(sticky), _answerOf256());
        checkSettled(settler.settle(items, GAS), 7);
        checkPaid(200);
        // Alone, the payment and the handing on are one.
        vm.expectRevert(_answerOf256());
        settler.settleOne{gas: 1e6}(items[1]);
    }

    /// @dev The settler's calls name functions, so other contracts taken for a token, itself included, gain nothing.
    function test_settle_otherContractsAreNoTokens() public {
        address[3] memory others = [address(settler), PERMIT2, DEPLOYER];
        for (uint256 i = 0; i < 3; ++i) {
            for (uint8 kind = 0; kind < 2; ++kind) {
                IPermitSettler.Item memory item = itemOf(IPermitSettler.Kind(kind), 0, 100);
                item.token = others[i];
                checkSettled(settler.settle(one(item), GAS), 0);
            }
        }
        checkPaid(0);
    }

    /// @dev The dearest work around an item: an address never seen before, the longest reason. The tokens leave at most
    /// 400 gas of what they get at each level, so the rest of what was burnt is the overhead.
    function test_settle_overheadCoversTheDearestItem() public {
        _checkOverhead(1, false);
        _checkOverhead(16, false);
        _checkOverhead(16, true);
    }

    function _checkOverhead(uint256 count, bool sticky) private {
        IPermitSettler.Item[] memory items = new IPermitSettler.Item[](count);
        for (uint256 i = 0; i < count; ++i) {
            items[i] = authorizationItem(i, 1);
            items[i].token = sticky ? address(new StickyToken()) : address(new GreedyToken());
        }
        bytes memory data = abi.encodeCall(IPermitSettler.settle, (items, GAS));
        PermitMeter meter = new PermitMeter();
        uint256 burnt = meter.burnt(address(settler), data);
        // One call for each item and one for each handing on; the sticky items themselves cost next to nothing.
        uint256 calls = sticky ? count : 2 * count;
        uint256 overhead = burnt - calls * (GAS - 1000);
        vm.assertTrue(overhead <= 2 * count * settler.ITEM_OVERHEAD());
        if (!sticky) vm.assertTrue(overhead > calls * settler.ITEM_OVERHEAD() / 2);
        // What the documentation says is enough, is.
        uint256 enough = 2 * count * (GAS + settler.ITEM_OVERHEAD()) + GAS / 63 + 1000 + 1500 * count;
        vm.assertTrue(meter.passes(address(settler), data, enough));
        vm.assertFalse(meter.passes(address(settler), data, enough - 1500 * count - 1000));
    }

    /// @dev One item that burns all it gets takes nothing from those behind it.
    function test_settle_oneItemCannotStarveTheOthers() public {
        IPermitSettler.Item[] memory items = new IPermitSettler.Item[](3);
        items[0] = permitItem(0, 100);
        items[0].token = address(new GreedyToken());
        items[1] = permitItem(0, 100);
        items[2] = permit2Item(1, 100);
        checkSettled(settler.settle{gas: 3 * (GAS + 8_000) + 60_000}(items, GAS), 6);
        checkPaid(200);
    }

    function _permitOn(ERC20Permit token, uint256 nonce, uint256 value)
        private
        view
        returns (IPermitSettler.Item memory)
    {
        bytes32 typeHash =
            keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
        bytes32 hash = keccak256(abi.encode(typeHash, payer, address(settler), value, nonce, NOW + 60));
        bytes32 domain = token.DOMAIN_SEPARATOR();
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(PAYER_KEY, keccak256(abi.encodePacked(hex"1901", domain, hash)));
        return
            IPermitSettler.Item(IPermitSettler.Kind.Permit, address(token), payer, value, 0, NOW + 60, nonce, v, r, s);
    }

    /// @dev What {StickyToken} and {GreedyToken} answer: the memory behind Solidity's first words.
    function _answerOf256() private pure returns (bytes memory) {
        return new bytes(256);
    }
}
