// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title Exercises
/// @notice What the prover's reading of compiled code is tried on: each function runs in the EVM and in the prover, and
/// both must agree.
contract Exercises {
    struct Pair {
        uint128 low;
        uint256 high;
    }

    error Unequal(uint256 a, uint256 b);

    mapping(uint256 key => uint256) private _book;
    mapping(uint256 key => uint256) private _other;
    uint256 private _plain;

    function arithmetic(uint256 a, uint256 b) external pure returns (uint256) {
        unchecked {
            return (a + b) ^ (a - b) ^ (a * b);
        }
    }

    function checkedArithmetic(uint256 a, uint256 b) external pure returns (uint256) {
        return a + b - (a > b ? b : a) * 3;
    }

    function narrow(uint256 a, uint256 b) external pure returns (uint256) {
        uint96 c = uint96(a);
        uint96 d = uint96(b >> 160);
        return c - d;
    }

    function division(uint256 a, uint256 b) external pure returns (uint256) {
        return a / b;
    }

    function rawDivision(uint256 a, uint256 b) external pure returns (uint256 c) {
        assembly {
            c := div(a, b)
        }
    }

    function bits(uint256 a, uint256 b) external pure returns (uint256) {
        return ((a & b) | (~a << 7)) ^ (b >> 201) ^ ((a | b) & ~uint256(type(uint96).max));
    }

    function signs(uint256 a, uint256 b) external pure returns (uint256 c) {
        assembly {
            c := add(slt(a, b), add(shl(1, sgt(a, b)), add(shl(2, lt(a, b)), shl(3, iszero(eq(a, b))))))
        }
    }

    function choices(uint256 a, uint256 b) external pure returns (uint256) {
        if (a << 224 == 0) return 1;
        if (a < b && b - a > 100) return 2;
        for (uint256 i = 0; i < 5; ++i) {
            if (i == 1) continue;
            if (i == 3 && a > b) break;
            a = a ^ (b << i);
        }
        require(a != b, Unequal(a, b));
        return a;
    }

    function cases(uint256 a, uint256 b) external pure returns (uint256 c) {
        assembly {
            switch and(a, 3)
            case 0 {
                c := b
            }
            case 1 {
                c := not(b)
            }
            default {
                c := add(b, 1)
            }
        }
    }

    function memories(uint256 a, uint256 b) external pure returns (uint256 c) {
        Pair memory pair = Pair(uint128(a), b);
        Pair memory same = pair;
        same.high = pair.low;
        c = pair.high ^ b;
        assembly {
            let at := mload(0x40)
            mstore(at, a)
            mstore(add(at, 5), b)
            mstore(add(at, 40), a)
            mstore(add(at, 33), b)
            c := xor(c, xor(mload(at), xor(mload(add(at, 5)), mload(add(at, 40)))))
        }
    }

    function stores(uint256 a, uint256 b) external returns (uint256) {
        uint256 c = a & 1;
        uint256 d = b & 1; // the same key as often as not
        _book[c] = 10;
        _other[d] = 15;
        _other[c] = 20;
        _book[d] = 30;
        _plain = 40;
        _other[d] += 5;
        return _book[c] + _other[c] * 100 + _plain * 10_000 + _book[d] * 1_000_000;
    }
}
