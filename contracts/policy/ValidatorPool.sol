// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {IInferenceEscrow} from "../interfaces/IInferenceEscrow.sol";
import {IValidatorPool} from "../interfaces/IValidatorPool.sol";

/// @title ValidatorPool
/// @notice See `IValidatorPool`.
contract ValidatorPool is IValidatorPool, Ownable2Step, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    struct Validator {
        /// @dev Credited and not paid, up to `seen`, in 2^-96 base units.
        uint256 earned;
        /// @dev `_perWeight` up to which `earned` counts.
        uint256 seen;
        uint32 weight;
    }

    /// @inheritdoc IValidatorPool
    uint256 public constant COLLECT_GAS = 250_000;
    /// @dev Gas that may be spent between the check of what is left and the call, a cold account included.
    uint256 private constant CALL_OVERHEAD = 5_000;
    /// @dev Bits behind the point of a credit.
    uint256 private constant FRACTION_BITS = 96;
    uint256 private constant ONE = 1 << FRACTION_BITS;

    /// @inheritdoc IValidatorPool
    IERC20 public immutable TOKEN;
    /// @inheritdoc IValidatorPool
    IInferenceEscrow public immutable ESCROW;

    /// @inheritdoc IValidatorPool
    uint64 public totalWeight;

    /// @dev What one unit of weight was ever credited with, in 2^-96 base units. Never falls.
    uint256 private _perWeight;
    /// @dev Base units that were divided and not paid out: at least the sum of all credits.
    uint256 private _divided;
    mapping(address validator => Validator) private _validators;

    constructor(address owner_, IERC20 token, IInferenceEscrow escrow) Ownable(owner_) {
        require(address(escrow).code.length != 0, EscrowWithoutCode(address(escrow)));
        TOKEN = token;
        ESCROW = escrow;
    }

    /// @inheritdoc IValidatorPool
    function setWeights(Weight[] calldata weights) external onlyOwner nonReentrant {
        _distribute();
        uint64 total = totalWeight;
        for (uint256 i = 0; i < weights.length; ++i) {
            address validator = weights[i].validator;
            uint32 weight = weights[i].weight;
            _requireRecipient(validator);
            Validator storage entry = _accrued(validator);

            total = total - entry.weight + weight; // 2^32 validators would not fit into the state
            entry.weight = weight;
            emit WeightSet(validator, weight);
        }
        totalWeight = total;
    }

    /// @inheritdoc IValidatorPool
    function distribute() external nonReentrant returns (uint256 amount) {
        return _distribute();
    }

    /// @inheritdoc IValidatorPool
    function claim(address validator) external nonReentrant returns (uint256 amount) {
        return _payOut(validator, validator);
    }

    /// @inheritdoc IValidatorPool
    function claimTo(address to) external nonReentrant returns (uint256 amount) {
        return _payOut(msg.sender, to);
    }

    /// @inheritdoc IValidatorPool
    function weightOf(address validator) external view returns (uint32) {
        return _validators[validator].weight;
    }

    /// @inheritdoc IValidatorPool
    function claimable(address validator) external view returns (uint256) {
        return _earned(_validators[validator]) >> FRACTION_BITS;
    }

    /// @inheritdoc IValidatorPool
    function undistributed() public view returns (uint256) {
        // Were tokens to vanish, which a plain token's do not, nothing would be divided until others have come.
        return Math.saturatingSub(TOKEN.balanceOf(address(this)), _divided);
    }

    function _distribute() private returns (uint256 amount) {
        _collect();
        uint256 total = totalWeight;
        if (total == 0) return 0; // it stays until there is somebody
        amount = undistributed();
        if (amount == 0) return 0;

        _divided += amount;
        _perWeight += (amount * ONE) / total;
        emit Distributed(amount, total);
    }

    /// @dev Has the escrow pay the network's credit to this pool. Low-level: what it answers matters only if it is busy,
    /// and if it fails for want of gas, that is its own doing.
    function _collect() private {
        uint256 needed = (COLLECT_GAS * 64) / 63 + CALL_OVERHEAD; // a call can take all but one part in 64 (EIP-150)
        require(gasleft() >= needed, GasTooLow(needed, gasleft()));
        address escrow = address(ESCROW);
        uint256 gasGiven = COLLECT_GAS;
        bytes memory question = abi.encodeCall(IInferenceEscrow.claimNetwork, (address(this)));
        bool success;
        bytes4 reason;
        // Memory-safe: reads the question, and takes at most four bytes of the answer, in the scratch space.
        assembly ("memory-safe") {
            mstore(0x00, 0)
            success := call(gasGiven, escrow, 0, add(question, 0x20), mload(question), 0x00, 0x04)
            reason := mload(0x00)
        }
        if (success) return;
        require(reason != ReentrancyGuardReentrantCall.selector, EscrowBusy());
        emit CollectFailed(reason);
    }

    function _payOut(address validator, address to) private returns (uint256 amount) {
        _requireRecipient(to);
        Validator storage entry = _accrued(validator);
        amount = entry.earned >> FRACTION_BITS;
        if (amount == 0) return 0;
        entry.earned %= ONE; // the fraction stays
        _divided -= amount;
        emit Claimed(validator, to, amount);

        TOKEN.safeTransfer(to, amount);
    }

    /// @dev The validator's entry, with what its weight has earned until now.
    function _accrued(address validator) private returns (Validator storage entry) {
        entry = _validators[validator];
        entry.earned = _earned(entry);
        entry.seen = _perWeight;
    }

    /// @dev No overflow: a weight is part of the total in each division that it has a part of, so all credits together
    /// stay below the amounts divided, times 2^96.
    function _earned(Validator storage entry) private view returns (uint256) {
        return entry.earned + entry.weight * (_perWeight - entry.seen);
    }

    /// @dev What is sent to nobody, or back here, would be nobody's.
    function _requireRecipient(address to) private view {
        require(to != address(0) && to != address(this), RecipientInvalid(to));
    }
}
