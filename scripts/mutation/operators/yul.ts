import { type AstNode, nodeAt, nodesAt, spanOf, textAt } from '../../solidity/ast.js'
import { deletion, replace, textOf, writtenAs } from './text.js'
import type { Edit, Operator, Place } from './types.js'

const SWAPS: Readonly<Record<string, string>> = {
  add: 'sub',
  sub: 'add',
  mul: 'div',
  div: 'mul',
  shl: 'shr',
  shr: 'shl',
  xor: 'and',
}

const COMPARISONS: Readonly<Record<string, string>> = { lt: 'gt', gt: 'lt', slt: 'sgt', sgt: 'slt' }

const WORD = 0x20n

/** Whether the node stands where a loop counts on: turned round, it would only test the clock. */
function countsLoop({ node, above }: Place): boolean {
  return above.some((parent) => {
    const step = parent.nodeType === 'YulForLoop' ? nodeAt(parent, 'post') : undefined
    return step !== undefined && spanOf(step).start <= spanOf(node).start && spanOf(node).end <= spanOf(step).end
  })
}

/** Builtins to their neighbours; of `and` and `or`, each side is left out in turn, which is sharper than to swap them. */
const builtins: Operator = (place): Edit[] => {
  const { node } = place
  const name = node.nodeType === 'YulFunctionCall' ? (textAt(nodeAt(node, 'functionName') ?? node, 'name') ?? '') : ''
  const [first, second] = nodesAt(node, 'arguments')
  if (!first) return []
  if (name === 'iszero' || name === 'not') return [replace(node, 'yul-unary', textOf(place, first))]
  if (!second) return []
  const [a, b] = [textOf(place, first), textOf(place, second)]
  if (name === 'and' || name === 'or') return [replace(node, 'yul-operand', a), replace(node, 'yul-operand', b)]
  if (name === 'eq') return [replace(node, 'yul-comparison', `iszero(eq(${a}, ${b}))`)]
  const opposite = COMPARISONS[name]
  // `a < b` to `a <= b`, which Yul writes as "not a > b".
  if (opposite !== undefined) return [replace(node, 'yul-comparison', `iszero(${opposite}(${a}, ${b}))`)]
  const swapped = SWAPS[name]
  if (swapped === undefined || countsLoop(place)) return []
  // An offset is moved by the operator of constants.
  if ((name === 'add' || name === 'sub') && [first, second].some(isOffset)) return []
  return [replace(node, 'yul-arithmetic', `${swapped}(${a}, ${b})`)]
}

function isOffset(node: AstNode): boolean {
  return node.nodeType === 'YulLiteral' && BigInt(textAt(node, 'value') ?? 0) !== 0n
}

/** Offsets by one word up: what holds one way holds the other. Other numbers by one, up and down. */
const constants: Operator = (place) => {
  const { node } = place
  if (node.nodeType !== 'YulLiteral' || textAt(node, 'kind') !== 'number') return []
  const text = textOf(place, node)
  const value = BigInt(text)
  if (text.startsWith('0x') && value % WORD === 0n)
    return [replace(node, 'yul-constant', writtenAs(text, value + WORD))]
  const changed = value === 0n ? [1n] : [value + 1n, value - 1n]
  return changed.map((to) => replace(node, 'yul-constant', writtenAs(text, to)))
}

const branches: Operator = ({ node }) => {
  const condition = nodeAt(node, 'condition')
  if (!condition) return []
  if (node.nodeType === 'YulIf') return [replace(condition, 'yul-branch', '1'), replace(condition, 'yul-branch', '0')]
  return node.nodeType === 'YulForLoop' ? [replace(condition, 'yul-branch', '0')] : []
}

const DELETED = new Set(['YulExpressionStatement', 'YulAssignment', 'YulBreak', 'YulContinue', 'YulLeave'])

const statements: Operator = (place) =>
  DELETED.has(place.node.nodeType) && !countsLoop(place) ? [deletion(place, 'yul-statement')] : []

export const YUL_OPERATORS: readonly Operator[] = [builtins, constants, branches, statements]
