// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {ITestUsdc} from "../src/interfaces/ITestUsdc.sol";
import {vm} from "./Vm.sol";
import {Fixture} from "./utils/Fixture.sol";

/// @title The deterministic deployment proxy, from the committed artifact's runtime code
contract Create2DeployerTest is Fixture {
    address private constant DEPLOYER = 0x4e59b44847b379578588920cA78FbF26c0B4956C;

    function setUp() public override {
        super.setUp();
        string memory artifact = vm.readFile("artifacts/Create2Deployer.json");
        bytes memory code = vm.parseJsonBytes(artifact, ".deployedBytecode");
        vm.assertEq(code.length, 69);
        vm.etch(DEPLOYER, code);
    }

    function testFuzz_fallback_deploysWhereCreate2Says(bytes32 salt) public {
        bytes memory code = abi.encodePacked(creationCode(), abi.encode("USDC", "2", "USDC", uint8(6)));
        (bool success, bytes memory answer) = DEPLOYER.call(abi.encodePacked(salt, code));
        vm.assertTrue(success);

        bytes32 hash = keccak256(abi.encodePacked(hex"ff", DEPLOYER, salt, keccak256(code)));
        vm.assertEq(answer, abi.encodePacked(address(uint160(uint256(hash)))));
        vm.assertEq(ITestUsdc(address(uint160(uint256(hash)))).name(), "USDC");

        (success,) = DEPLOYER.call(abi.encodePacked(salt, code));
        vm.assertFalse(success);
    }

    function test_fallback_refusesFailingConstructor() public {
        (bool success,) = DEPLOYER.call(abi.encodePacked(bytes32(0), hex"fe"));
        vm.assertFalse(success);
    }
}
