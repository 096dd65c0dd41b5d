import { type AstNode, nodeAt, nodesAt, spanOf, textAt } from '../../solidity/ast.js'
import { between, deletion, replace, textOf, writtenAs } from './text.js'
import type { Edit, Operator, Place } from './types.js'

const COMPARISONS: Readonly<Record<string, string>> = {
  '<': '<=',
  '<=': '<',
  '>': '>=',
  '>=': '>',
  '==': '!=',
  '!=': '==',
}

const ARITHMETIC: Readonly<Record<string, string>> = {
  '+': '-',
  '-': '+',
  '*': '/',
  '/': '*',
  '%': '*',
  '<<': '>>',
  '>>': '<<',
  '&': '|',
  '|': '&',
  '^': '&',
}

/** `require(guard, …)` lets everything pass. */
const guards: Operator = ({ node }) => {
  const callee = node.nodeType === 'FunctionCall' ? nodeAt(node, 'expression') : undefined
  const [condition] = nodesAt(node, 'arguments')
  if (!callee || !condition || textAt(callee, 'name') !== 'require') return []
  return [replace(condition, 'guard', 'true')]
}

/** A branch is always taken, or never. A loop is never entered: one that never ends would only test the clock. */
const branches: Operator = ({ node }) => {
  const condition = nodeAt(node, 'condition')
  if (!condition) return []
  if (node.nodeType === 'IfStatement' || node.nodeType === 'Conditional') {
    return [replace(condition, 'branch', 'true'), replace(condition, 'branch', 'false')]
  }
  const isLoop = node.nodeType === 'ForStatement' || node.nodeType === 'WhileStatement'
  return isLoop ? [replace(condition, 'branch', 'false')] : []
}

/** Comparison, arithmetic, bits; of `&&` and `||`, each side is left out in turn, which is sharper than to swap them. */
const binaries: Operator = (place) => {
  const { node } = place
  const symbol = textAt(node, 'operator')
  const [left, right] = [nodeAt(node, 'leftExpression'), nodeAt(node, 'rightExpression')]
  if (node.nodeType !== 'BinaryOperation' || symbol === undefined || !left || !right) return []
  if (symbol === '&&' || symbol === '||') {
    return [replace(node, 'operand', textOf(place, left)), replace(node, 'operand', textOf(place, right))]
  }
  const comparison = COMPARISONS[symbol]
  // The whole of a condition is forced both ways already: turning it round as well would tell nothing new.
  if ((symbol === '==' || symbol === '!=') && isCondition(place)) return []
  if (comparison !== undefined)
    return between(place, left, right, { operator: 'comparison', from: symbol, to: comparison })
  const arithmetic = ARITHMETIC[symbol]
  return arithmetic === undefined
    ? []
    : between(place, left, right, { operator: 'arithmetic', from: symbol, to: arithmetic })
}

function isCondition({ node, above }: Place): boolean {
  const parent = above.at(-1)
  const condition = parent && nodeAt(parent, 'condition')
  return condition !== undefined && parent?.nodeType !== 'ForStatement' && condition.src === node.src
}

/** `+=` to `-=` and the like, and to a plain `=`. */
const assignments: Operator = (place) => {
  const { node } = place
  const symbol = textAt(node, 'operator') ?? ''
  const [left, right] = [nodeAt(node, 'leftHandSide'), nodeAt(node, 'rightHandSide')]
  const swapped = ARITHMETIC[symbol.slice(0, -1)]
  if (node.nodeType !== 'Assignment' || swapped === undefined || !left || !right) return []
  return [`${swapped}=`, '='].flatMap((to) => between(place, left, right, { operator: 'arithmetic', from: symbol, to }))
}

/** Whether the node counts a loop on: turned round, it would only test the clock. */
function countsLoop({ node, above }: Place): boolean {
  return above.some((parent) => {
    const step = parent.nodeType === 'ForStatement' ? nodeAt(parent, 'loopExpression') : undefined
    return step !== undefined && spanOf(step).start <= spanOf(node).start && spanOf(node).end <= spanOf(step).end
  })
}

const unaries: Operator = (place) => {
  const { node } = place
  const operand = nodeAt(node, 'subExpression')
  const symbol = textAt(node, 'operator')
  if (node.nodeType !== 'UnaryOperation' || !operand || countsLoop(place)) return []
  const text = textOf(place, operand)
  if (symbol === '!' || symbol === '~' || symbol === '-') return [replace(node, 'unary', text)]
  if (symbol !== '++' && symbol !== '--') return []
  const swapped = symbol === '++' ? '--' : '++'
  return [replace(node, 'unary', node.prefix === true ? `${swapped}${text}` : `${text}${swapped}`)]
}

/** Numbers one up and one down, bytes with another last bit, true and false. Text is held by the vectors. */
const constants: Operator = (place) => {
  const { node, above } = place
  if (node.nodeType !== 'Literal' || above.at(-1)?.nodeType === 'ArrayTypeName') return []
  const text = textOf(place, node)
  switch (textAt(node, 'kind')) {
    case 'bool':
      return [replace(node, 'boolean', text === 'true' ? 'false' : 'true')]
    case 'number':
      return neighbours(text).map((changed) => replace(node, 'constant', changed))
    case 'hexString': {
      const hex = textAt(node, 'hexValue') ?? ''
      const last = Number.parseInt(hex.slice(-2), 16) ^ 1
      return [replace(node, 'bytes', `hex"${hex.slice(0, -2)}${last.toString(16).padStart(2, '0')}"`)]
    }
    default:
      return []
  }
}

function neighbours(text: string): string[] {
  // With a unit behind the number, one of the smallest unit: it is the edge that counts.
  if (!/^(0x[0-9a-fA-F]+|[0-9_]+)$/.test(text)) return [`(${text} + 1)`, `(${text} - 1)`]
  const value = BigInt(text.replaceAll('_', ''))
  return value === 0n ? [writtenAs(text, 1n)] : [writtenAs(text, value + 1n), writtenAs(text, value - 1n)]
}

const modifiers: Operator = ({ node }) =>
  node.nodeType === 'ModifierInvocation' && textAt(node, 'kind') === 'modifierInvocation'
    ? [replace(node, 'modifier', '')]
    : []

const DELETED = new Set(['EmitStatement', 'Break', 'Continue', 'RevertStatement'])

/** Statements that change something are left out. A `require` is a guard, and left to that operator. */
const statements: Operator = (place): Edit[] => {
  const { node } = place
  if (DELETED.has(node.nodeType)) return [deletion(place, 'statement')]
  const expression = node.nodeType === 'ExpressionStatement' ? nodeAt(node, 'expression') : undefined
  if (!expression || isRequire(expression) || countsLoop(place)) return []
  return [deletion(place, 'statement')]
}

function isRequire(expression: AstNode): boolean {
  const callee = nodeAt(expression, 'expression')
  return callee !== undefined && textAt(callee, 'name') === 'require'
}

export const SOLIDITY_OPERATORS: readonly Operator[] = [
  guards,
  branches,
  binaries,
  assignments,
  unaries,
  constants,
  modifiers,
  statements,
]
