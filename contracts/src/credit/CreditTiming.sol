// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {ICreditCore} from "../interfaces/ICreditCore.sol";
import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";

/// @title The four durations, and what always holds between them
/// @dev Grace < expiration, so that there is a time to redeem. Delay + expiration < withdrawal: a guarantee was given at
/// most `expiration` ago when it is redeemed, and one given later than `delay` after a request was given by an operator who
/// knew of the request. So a withdrawal that is paid out takes nothing that a guarantee counts on.
abstract contract CreditTiming is ICreditCore, AccessManaged {
    /// @dev One slot.
    struct Timing {
        uint64 grace;
        uint64 expiration;
        uint64 delay;
        uint64 withdrawal;
    }

    Timing private _timing = Timing({grace: 14 days, expiration: 21 days, delay: 6 hours, withdrawal: 22 days});

    /// @inheritdoc ICreditCore
    function setRemunerationGracePeriod(uint256 gracePeriod) external restricted {
        Timing memory timing = _timing;
        timing.grace = _narrow(gracePeriod);
        _set(timing);
        emit RemunerationGracePeriodUpdated(gracePeriod);
    }

    /// @inheritdoc ICreditCore
    function setTabExpirationTime(uint256 expirationTime) external restricted {
        Timing memory timing = _timing;
        timing.expiration = _narrow(expirationTime);
        _set(timing);
        emit TabExpirationTimeUpdated(expirationTime);
    }

    /// @inheritdoc ICreditCore
    function setSynchronizationDelay(uint256 delay) external restricted {
        Timing memory timing = _timing;
        timing.delay = _narrow(delay);
        _set(timing);
        emit SynchronizationDelayUpdated(delay);
    }

    /// @inheritdoc ICreditCore
    function setWithdrawalGracePeriod(uint256 gracePeriod) external restricted {
        Timing memory timing = _timing;
        timing.withdrawal = _narrow(gracePeriod);
        _set(timing);
        emit WithdrawalGracePeriodUpdated(gracePeriod);
    }

    /// @inheritdoc ICreditCore
    function setTimingParameters(uint256 grace, uint256 expiration, uint256 delay, uint256 withdrawal)
        external
        restricted
    {
        _set(
            Timing({
                grace: _narrow(grace),
                expiration: _narrow(expiration),
                delay: _narrow(delay),
                withdrawal: _narrow(withdrawal)
            })
        );
        emit RemunerationGracePeriodUpdated(grace);
        emit TabExpirationTimeUpdated(expiration);
        emit SynchronizationDelayUpdated(delay);
        emit WithdrawalGracePeriodUpdated(withdrawal);
    }

    /// @inheritdoc ICreditCore
    function remunerationGracePeriod() external view returns (uint256) {
        return _timing.grace;
    }

    /// @inheritdoc ICreditCore
    function tabExpirationTime() external view returns (uint256) {
        return _timing.expiration;
    }

    /// @inheritdoc ICreditCore
    function synchronizationDelay() external view returns (uint256) {
        return _timing.delay;
    }

    /// @inheritdoc ICreditCore
    function withdrawalGracePeriod() external view returns (uint256) {
        return _timing.withdrawal;
    }

    /// @dev Refuses a guarantee that is too young or too old.
    function _requireDue(uint256 timestamp) internal view {
        Timing memory timing = _timing;
        require(block.timestamp >= timestamp + timing.grace, TabNotYetOverdue());
        require(block.timestamp <= timestamp + timing.expiration, TabExpired());
    }

    /// @dev Refuses a withdrawal before its time.
    function _requireElapsed(uint256 requestedAt) internal view {
        require(block.timestamp >= requestedAt + _timing.withdrawal, GracePeriodNotElapsed());
    }

    function _set(Timing memory timing) private {
        require(timing.grace != 0 && timing.expiration != 0, AmountZero());
        require(timing.delay != 0 && timing.withdrawal != 0, AmountZero());
        require(timing.grace < timing.expiration, IllegalValue());
        require(uint256(timing.delay) + timing.expiration < timing.withdrawal, IllegalValue());
        _timing = timing;
    }

    function _narrow(uint256 duration) private pure returns (uint64) {
        require(duration <= type(uint64).max, IllegalValue());
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint64(duration);
    }
}
