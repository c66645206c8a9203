// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {vm} from "./Vm.sol";
import {Fixture} from "./utils/Fixture.sol";

/// @title Everything people do with the token, in any order
/// @dev forge calls these functions with random arguments. Each picks among four accounts and tracks what must hold.
contract TestUsdcHandler is Fixture {
    uint256 public minted;
    uint256 public wronglyTaken;

    mapping(bytes32 => bool) private _spent;
    bytes32[] private _nonces;

    function setUp() public override {
        super.setUp();
        minted = 1000;
    }

    function mint(uint256 who, uint96 value) external {
        usdc.mint(account(who), value);
        minted += value;
    }

    function move(uint256 from, uint256 to, uint256 value) external {
        uint256 balance = usdc.balanceOf(account(from));
        vm.prank(account(from));
        require(usdc.transfer(account(to), value % (balance + 1)), "refused");
    }

    function approveAndPull(uint256 owner, uint256 spender, uint256 to, uint256 value, bool asBytes) external {
        address holder = account(owner);
        value = value % (usdc.balanceOf(holder) + 1);
        uint256 left = usdc.allowance(holder, account(spender));
        if (left < value) {
            bytes32 hash = permitDigest(holder, account(spender), value, usdc.nonces(holder), block.timestamp);
            permit(form(asBytes), holder, account(spender), value, block.timestamp, sign(key(owner), hash));
        }
        vm.prank(account(spender));
        require(usdc.transferFrom(holder, account(to), value), "refused");
    }

    function pay(uint256 from, uint256 to, uint256 value, uint8 nonce, bool asBytes) external {
        Auth memory a = terms(from, to, value, nonce);
        bytes32 id = keccak256(abi.encode(a.from, a.nonce));
        try this.submit(form(asBytes), a, sign(key(from), transferDigest(a))) {
            if (_spent[id]) wronglyTaken += 1;
            _spent[id] = true;
        } catch {
            if (!_spent[id]) wronglyTaken += 1;
        }
    }

    function payWithAnothersKey(uint256 from, uint256 to, uint256 value, uint8 nonce, bool asBytes) external {
        Auth memory a = terms(from, to, value, nonce);
        try this.submit(form(asBytes), a, sign(key(from % 4 + 1), transferDigest(a))) {
            wronglyTaken += 1;
        } catch {}
    }

    function withdraw(uint256 from, uint8 nonce, bool asBytes) external {
        address holder = account(from);
        bytes32 id = keccak256(abi.encode(holder, bytes32(uint256(nonce))));
        bytes memory signature = sign(key(from), cancelDigest(holder, bytes32(uint256(nonce))));
        if (_spent[id]) expectText("FiatTokenV2: authorization is used or canceled");
        cancel(form(asBytes), holder, bytes32(uint256(nonce)), signature);
        _spent[id] = true;
    }

    /// @dev External so that {pay} can catch what it does.
    function submit(Form form_, Auth calldata a, bytes calldata signature) external {
        transferAuthorized(form_, a, signature);
    }

    /// @dev The sum over everyone who can hold anything, and the supply it must equal.
    function sums() external view returns (uint256 held, uint256 supply) {
        for (uint256 i = 0; i < 4; ++i) {
            held += usdc.balanceOf(account(i));
        }
        return (held, usdc.totalSupply());
    }

    function terms(uint256 from, uint256 to, uint256 value, uint8 nonce) private view returns (Auth memory) {
        value = value % (usdc.balanceOf(account(from)) + 1);
        return Auth(account(from), account(to), value, 0, NOW + 60, bytes32(uint256(nonce)));
    }

    function key(uint256 who) private pure returns (uint256) {
        return PAYER_KEY + who % 4;
    }

    function account(uint256 who) private pure returns (address) {
        return vm.addr(key(who));
    }

    function form(bool asBytes) private pure returns (Form) {
        return asBytes ? Form.Bytes : Form.Vrs;
    }
}

/// @title What holds whatever people do
contract TestUsdcInvariantTest {
    TestUsdcHandler private _handler;

    function setUp() public {
        _handler = new TestUsdcHandler();
        _handler.setUp();
    }

    /// @dev Read by forge: whom to call, and how.
    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_handler);
    }

    /// @dev Read by forge: of the handler, only what people do.
    function targetSelectors() public view returns (FuzzSelector[] memory targets) {
        targets = new FuzzSelector[](1);
        targets[0].addr = address(_handler);
        targets[0].selectors = new bytes4[](6);
        targets[0].selectors[0] = TestUsdcHandler.mint.selector;
        targets[0].selectors[1] = TestUsdcHandler.move.selector;
        targets[0].selectors[2] = TestUsdcHandler.approveAndPull.selector;
        targets[0].selectors[3] = TestUsdcHandler.pay.selector;
        targets[0].selectors[4] = TestUsdcHandler.payWithAnothersKey.selector;
        targets[0].selectors[5] = TestUsdcHandler.withdraw.selector;
    }

    /// @dev forge's name for a contract and some of its functions.
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    /// @dev Units appear by minting only, and each belongs to somebody.
    function invariant_supplyIsWhatWasMintedAndHeld() public view {
        (uint256 held, uint256 supply) = _handler.sums();
        vm.assertEq(held, supply);
        vm.assertEq(supply, _handler.minted());
    }

    /// @dev No authorization worked twice, after its cancellation or by another's key, and none failed without cause.
    function invariant_authorizationsWorkOnce() public view {
        vm.assertEq(_handler.wronglyTaken(), 0);
    }
}
