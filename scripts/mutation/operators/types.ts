import type { AstNode, Span } from '../../solidity/ast.js'

/** One way to break the source at one place. */
export interface Edit extends Span {
  readonly operator: string
  readonly text: string
}

/** What an operator may look at. */
export interface Place {
  /** The whole file; spans are places in it. */
  readonly source: Buffer
  readonly node: AstNode
  /** The nodes above, the nearest last. */
  readonly above: readonly AstNode[]
}

export type Operator = (place: Place) => Edit[]
