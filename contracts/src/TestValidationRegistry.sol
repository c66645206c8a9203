// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IValidationRegistry} from "./interfaces/IValidationRegistry.sol";

/// @title A validation registry for development chains
/// @notice Stands where ERC-8004's registry stands on public chains. There, only those an agent belongs to may ask about it;
/// here **anyone may ask about any agent**, and whoever asks first under a hash decides who answers.
contract TestValidationRegistry is IValidationRegistry {
    /// @notice Nobody can be asked, or nobody was.
    error UnknownRequest(bytes32 requestHash);

    /// @notice The hash is taken.
    error RequestExists(bytes32 requestHash);

    /// @notice Somebody else was asked.
    error NotTheValidator(address validator);

    /// @notice More than 100.
    error ResponseTooHigh(uint8 response);

    /// @dev One request and its last answer.
    struct Status {
        address validator;
        uint256 agentId;
        uint8 response;
        bytes32 responseHash;
        string tag;
        uint256 lastUpdate;
    }

    mapping(bytes32 requestHash => Status) private _requests;

    /// @inheritdoc IValidationRegistry
    function validationRequest(
        address validatorAddress,
        uint256 agentId,
        string calldata requestURI,
        bytes32 requestHash
    ) external {
        require(validatorAddress != address(0), UnknownRequest(requestHash));
        Status storage status = _requests[requestHash];
        require(status.validator == address(0), RequestExists(requestHash));
        status.validator = validatorAddress;
        status.agentId = agentId;
        emit ValidationRequest(validatorAddress, agentId, requestURI, requestHash);
    }

    /// @inheritdoc IValidationRegistry
    function validationResponse(
        bytes32 requestHash,
        uint8 response,
        string calldata responseURI,
        bytes32 responseHash,
        string calldata tag
    ) external {
        Status storage status = _requests[requestHash];
        require(status.validator != address(0), UnknownRequest(requestHash));
        require(status.validator == msg.sender, NotTheValidator(status.validator));
        require(response <= 100, ResponseTooHigh(response));
        status.response = response;
        status.responseHash = responseHash;
        status.tag = tag;
        status.lastUpdate = block.timestamp;
        emit ValidationResponse(msg.sender, status.agentId, requestHash, response, responseURI, responseHash, tag);
    }

    /// @inheritdoc IValidationRegistry
    function getValidationStatus(bytes32 requestHash)
        external
        view
        returns (
            address validatorAddress,
            uint256 agentId,
            uint8 response,
            bytes32 responseHash,
            string memory tag,
            uint256 lastUpdate
        )
    {
        Status storage status = _requests[requestHash];
        require(status.validator != address(0), UnknownRequest(requestHash));
        return (status.validator, status.agentId, status.response, status.responseHash, status.tag, status.lastUpdate);
    }
}
