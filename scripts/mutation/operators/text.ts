import { type AstNode, type Span, spanOf } from '../../solidity/ast.js'
import type { Edit, Place } from './types.js'

export function textOf({ source }: Pick<Place, 'source'>, span: Span | AstNode): string {
  const { start, end } = 'src' in span ? spanOf(span) : span
  return source.subarray(start, end).toString('utf8')
}

/** Puts `text` in the place of a node. */
export function replace(node: AstNode, operator: string, text: string): Edit {
  return { ...spanOf(node), operator, text }
}

/** Takes a statement out. An empty block may stand where any statement may. */
export function deletion({ source, node }: Place, operator: string): Edit {
  const { start, end } = spanOf(node)
  const semicolon = source.subarray(end, end + 1).toString() === ';' ? 1 : 0
  return { start, end: end + semicolon, operator, text: '{}' }
}

/** Replaces a token between two nodes. */
export function between(
  place: Place,
  left: AstNode,
  right: AstNode,
  change: { operator: string; from: string; to: string },
): Edit[] {
  const start = spanOf(left).end
  const at = textOf(place, { start, end: spanOf(right).start }).indexOf(change.from)
  if (at < 0) return []
  const from = start + at
  return [{ start: from, end: from + change.from.length, operator: change.operator, text: change.to }]
}

/** A number written as `like` is: in hexadecimal with as many digits, or in decimal. */
export function writtenAs(like: string, value: bigint): string {
  if (!like.startsWith('0x')) return String(value)
  return `0x${value.toString(16).padStart(like.length - 2, '0')}`
}
