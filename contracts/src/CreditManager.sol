// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";

/// @title Who may do what with {CreditCore}: OpenZeppelin's AccessManager as it is
contract CreditManager is AccessManager {
    /// @param admin Who grants roles and says which functions they open.
    constructor(address admin) AccessManager(admin) {}
}
