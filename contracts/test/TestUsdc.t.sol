// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {TestUsdc} from "../src/TestUsdc.sol";
import {ITestUsdc} from "../src/interfaces/ITestUsdc.sol";
import {vm} from "./Vm.sol";
import {Fixture} from "./utils/Fixture.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ShortStrings} from "@openzeppelin/contracts/utils/ShortStrings.sol";

/// @title ERC-20, construction, and the code at other addresses
contract TestUsdcTest is Fixture {
    address private constant BASE_SEPOLIA_USDC = 0x036CbD53842c5426634e7929541eC2318f3dCF7e;
    address private constant BASE_USDC = 0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913;
    string private constant NAME_31 = "0123456789012345678901234567890";
    string private constant NAME_32 = "01234567890123456789012345678901";

    // ---- construction ----------------------------------------------------------------------------------------------------

    function test_constructor_setsTexts() public view {
        vm.assertEq(usdc.name(), "USDC");
        vm.assertEq(usdc.version(), "2");
        vm.assertEq(usdc.symbol(), "USDC");
        vm.assertEq(usdc.decimals(), 6);
    }

    function test_constructor_acceptsNonAscii() public {
        ITestUsdc token = deploy(unicode"USD₮0", "1", unicode"USD₮0", 6);
        vm.assertEq(token.name(), unicode"USD₮0");
        vm.assertEq(token.symbol(), unicode"USD₮0");
        vm.assertEq(token.DOMAIN_SEPARATOR(), domainSeparator(unicode"USD₮0", "1", block.chainid, address(token)));
    }

    function test_constructor_acceptsOtherDecimals() public {
        vm.assertEq(deploy("MegaUSD", "1", "USDM", 18).decimals(), 18);
    }

    function test_constructor_accepts31Bytes() public {
        ITestUsdc token = deploy(NAME_31, NAME_31, NAME_31, 6);
        vm.assertEq(token.name(), NAME_31);
        vm.assertEq(token.version(), NAME_31);
        vm.assertEq(token.symbol(), NAME_31);
    }

    function test_constructor_refuses32Bytes() public {
        bytes memory tooLong = abi.encodeWithSelector(ShortStrings.StringTooLong.selector, NAME_32);
        vm.expectRevert(tooLong);
        new TestUsdc(NAME_32, "2", "USDC", 6);
        vm.expectRevert(tooLong);
        new TestUsdc("USDC", NAME_32, "USDC", 6);
        vm.expectRevert(tooLong);
        new TestUsdc("USDC", "2", NAME_32, 6);
    }

    // ---- names that clients know -----------------------------------------------------------------------------------------

    function test_interface_selectors() public pure {
        _selector(
            "transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)",
            0xe3ee160e
        );
        _selector("transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,bytes)", 0xcf092995);
        _selector(
            "receiveWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)",
            0xef55bec6
        );
        _selector("receiveWithAuthorization(address,address,uint256,uint256,uint256,bytes32,bytes)", 0x88b7ab63);
        _selector("cancelAuthorization(address,bytes32,uint8,bytes32,bytes32)", 0x5a049a70);
        _selector("cancelAuthorization(address,bytes32,bytes)", 0xb7b72899);
        _selector("authorizationState(address,bytes32)", 0xe94a0102);
        _selector("permit(address,address,uint256,uint256,uint8,bytes32,bytes32)", 0xd505accf);
        _selector("permit(address,address,uint256,uint256,bytes)", 0x9fd5a6cf);
    }

    function _selector(string memory signature, bytes4 known) private pure {
        vm.assertEq(bytes32(bytes4(keccak256(bytes(signature)))), bytes32(known));
    }

    function test_typeHashes_areTheStandards() public view {
        vm.assertEq(
            usdc.TRANSFER_WITH_AUTHORIZATION_TYPEHASH(),
            0x7c7c6cdb67a18743f49ec6fa9b35f50d52ed05cbed4cc592e13b44501c1a2267
        );
        vm.assertEq(
            usdc.RECEIVE_WITH_AUTHORIZATION_TYPEHASH(),
            0xd099cc98ef71107a616c4f0f941f04c322d8e254fe26b3c6668db87aae413de8
        );
        vm.assertEq(
            usdc.CANCEL_AUTHORIZATION_TYPEHASH(), 0x158b0a9edf7a828aad02f63cd515c68ef2f50ba807396f6d12842833a1597429
        );
        vm.assertEq(usdc.PERMIT_TYPEHASH(), 0x6e71edae12b1b97f4d1f60370fef10105fa2faae0126114a169c64845d6126c9);
    }

    // ---- the code, copied ------------------------------------------------------------------------------------------------

    /// @dev The separators of the deployed tokens, read from their chains.
    function test_copy_hasDeployedDomains() public {
        _copy("USDC", 84532, BASE_SEPOLIA_USDC);
        vm.assertEq(usdc.DOMAIN_SEPARATOR(), 0x71f17a3b2ff373b803d70a5a07c046c1a2bc8e89c09ef722fcb047abe94c9818);
        _copy("USD Coin", 8453, BASE_USDC);
        vm.assertEq(usdc.DOMAIN_SEPARATOR(), 0x02fa7265e7c5d81118673727957699e4d68f74cd74b7db77da710fe8a2c7834f);
    }

    /// @dev Signatures made by PyPI x402 2.25.0 (conformance vector eip712_transfer_with_authorization).
    function test_copy_takesForeignSignatures() public {
        bytes memory onBaseSepolia =
            hex"f70fbdc611bbe3077f7fe15cc911579c0b8a3ea03c084ed9c489fa54ec60c34c63c1f21810b3ce96876b90c14501875ed73381ffb789c6a928b46a64b23abc201c";
        bytes memory onBase =
            hex"c80b5ad3ac2ee4dc1d4527153b9751a5c8dbea667d775429d0001ab403bc4dcc29a857d1cf421f28d69a2c1f0853372c8d7e5da61d7476167f08e8b7177a1a971b";
        Auth memory a = Auth(
            0x70997970C51812dc3A010C7d01b50e0d17dc79C8,
            0x209693Bc6afc0C5328bA36FaF03C514EF312287C,
            10_000,
            0,
            1_740_672_149,
            0xf3746613c2d920b5fdabc0856f2aeb2d4f88ee6037b8cc5d04a71a4462f13480
        );

        _copy("USDC", 84532, BASE_SEPOLIA_USDC);
        usdc.mint(a.from, 10_000);
        expectText("FiatTokenV2: invalid signature");
        transferAuthorized(Form.Bytes, a, onBase);
        transferAuthorized(Form.Bytes, a, onBaseSepolia);
        vm.assertEq(usdc.balanceOf(a.to), 10_000);

        _copy("USD Coin", 8453, BASE_USDC);
        usdc.mint(a.from, 10_000);
        transferAuthorized(Form.Vrs, a, onBase);
        vm.assertEq(usdc.balanceOf(a.to), 10_000);
    }

    function test_copy_keepsTextsAndStartsEmpty() public {
        ITestUsdc original = usdc;
        _copy("USDC", 84532, BASE_SEPOLIA_USDC);
        test_constructor_setsTexts();
        vm.assertEq(usdc.totalSupply(), 0);
        vm.assertEq(usdc.balanceOf(payer), 0);
        vm.assertEq(original.balanceOf(payer), 1000);
    }

    function test_copy_refusesTheOriginalsSignature() public {
        Auth memory a = auth("n");
        bytes memory signature = sign(PAYER_KEY, transferDigest(a));
        vm.etch(BASE_SEPOLIA_USDC, address(usdc).code);
        usdc = ITestUsdc(BASE_SEPOLIA_USDC);
        usdc.mint(payer, 1000);

        expectText("FiatTokenV2: invalid signature");
        transferAuthorized(Form.Vrs, a, signature);

        transferAuthorized(Form.Vrs, a, sign(PAYER_KEY, transferDigest(a)));
        checkBalances(900, 100);
    }

    function testFuzz_copy_separatorFollowsPlaceAndChain(uint160 place, uint64 chain) public {
        vm.assume(place > 0xffff && place != uint160(address(vm)) && place != uint160(address(this)));
        vm.assume(chain != 0);
        address there = address(place);
        vm.assume(there.code.length == 0);
        vm.etch(there, address(usdc).code);
        vm.chainId(chain);
        vm.assertEq(ITestUsdc(there).DOMAIN_SEPARATOR(), domainSeparator("USDC", "2", chain, there));
        vm.assertEq(usdc.DOMAIN_SEPARATOR(), domainSeparator("USDC", "2", chain, address(usdc)));
    }

    function _copy(string memory name, uint256 chain, address place) private {
        vm.etch(place, address(deploy(name, "2", "USDC", 6)).code);
        vm.chainId(chain);
        usdc = ITestUsdc(place);
    }

    // ---- storage, for tools that set balances --------------------------------------------------------------------------

    function test_storage_slotsAreAsDocumented() public {
        string memory artifact = vm.readFile("artifacts/TestUsdc.json");
        vm.assertEq(vm.parseJsonString(artifact, ".storageLayout[0].variable"), "_balances");
        vm.assertEq(vm.parseJsonUint(artifact, ".storageLayout[0].slot"), 0);

        vm.store(address(usdc), keccak256(abi.encode(payee, 0)), bytes32(uint256(77)));
        vm.assertEq(usdc.balanceOf(payee), 77);
        vm.store(address(usdc), keccak256(abi.encode(payee, keccak256(abi.encode(payer, 1)))), bytes32(uint256(5)));
        vm.assertEq(usdc.allowance(payer, payee), 5);
        vm.store(address(usdc), bytes32(uint256(2)), bytes32(uint256(1077)));
        vm.assertEq(usdc.totalSupply(), 1077);
        vm.store(address(usdc), keccak256(abi.encode(payer, 7)), bytes32(uint256(3)));
        vm.assertEq(usdc.nonces(payer), 3);
        vm.assertFalse(usdc.authorizationState(payer, "n"));
        vm.store(
            address(usdc), keccak256(abi.encode(bytes32("n"), keccak256(abi.encode(payer, 8)))), bytes32(uint256(1))
        );
        vm.assertTrue(usdc.authorizationState(payer, "n"));
    }

    // ---- ERC-20 ----------------------------------------------------------------------------------------------------------

    function test_mint_byAnyone() public {
        vm.expectEmit(address(usdc));
        emit IERC20.Transfer(address(0), payee, 5);
        vm.prank(relayer);
        vm.assertTrue(usdc.mint(payee, 5));
        checkBalances(1000, 5);
    }

    function test_mint_refusesOverflow() public {
        vm.expectRevert(abi.encodeWithSignature("Panic(uint256)", 0x11));
        usdc.mint(payee, type(uint256).max);
    }

    function test_transfer_moves() public {
        vm.expectEmit(address(usdc));
        emit IERC20.Transfer(payer, payee, 10);
        vm.prank(payer);
        vm.assertTrue(usdc.transfer(payee, 10));
        checkBalances(990, 10);
    }

    function test_transfer_refusesMoreThanBalance() public {
        expectText("ERC20: transfer amount exceeds balance");
        vm.prank(payer);
        usdc.transfer(payee, 1001);
    }

    function test_transfer_refusesZeroAddress() public {
        expectText("ERC20: transfer to the zero address");
        vm.prank(payer);
        usdc.transfer(address(0), 1);
    }

    function test_transferFrom_spendsAllowance() public {
        vm.prank(payer);
        usdc.approve(relayer, 10);
        vm.prank(relayer);
        usdc.transferFrom(payer, payee, 4);
        vm.assertEq(usdc.allowance(payer, relayer), 6);
        expectText("ERC20: transfer amount exceeds allowance");
        vm.prank(relayer);
        usdc.transferFrom(payer, payee, 7);
        checkBalances(996, 4);
    }

    function test_transferFrom_spendsTheLargestAllowanceToo() public {
        vm.prank(payer);
        usdc.approve(relayer, type(uint256).max);
        vm.prank(relayer);
        usdc.transferFrom(payer, payee, 1);
        vm.assertEq(usdc.allowance(payer, relayer), type(uint256).max - 1);
    }

    function test_transferFrom_refusesMoreThanBalance() public {
        vm.prank(payer);
        usdc.approve(relayer, 2000);
        expectText("ERC20: transfer amount exceeds balance");
        vm.prank(relayer);
        usdc.transferFrom(payer, payee, 1001);
    }

    function test_approve_refusesZeroAddress() public {
        expectText("ERC20: approve to the zero address");
        vm.prank(payer);
        usdc.approve(address(0), 1);
    }

    function testFuzz_transfer_conservesSupply(uint256 minted, uint256 value) public {
        minted = minted % (type(uint256).max - 1000);
        usdc.mint(payee, minted);
        vm.prank(payee);
        if (value > minted) {
            expectText("ERC20: transfer amount exceeds balance");
            usdc.transfer(payer, value);
            checkBalances(1000, minted);
        } else {
            usdc.transfer(payer, value);
            checkBalances(1000 + value, minted - value);
        }
    }
}
