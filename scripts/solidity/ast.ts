/** A node of solc's AST, Solidity's or Yul's, as it stands in the compiler's JSON. */
export interface AstNode {
  readonly nodeType: string
  /** `start:length:file`, in bytes. */
  readonly src: string
  readonly [member: string]: unknown
}

/** Bytes of a source file, the end not included. */
export interface Span {
  readonly start: number
  readonly end: number
}

function isNode(value: unknown): value is AstNode {
  return typeof value === 'object' && value !== null && 'nodeType' in value && 'src' in value
}

export function spanOf(node: AstNode): Span {
  const [start = 0, length = 0] = node.src.split(':').map(Number)
  return { start, end: start + length }
}

/** The nodes right below `node`, in the order of the source. */
export function childrenOf(node: AstNode): AstNode[] {
  return Object.values(node)
    .flatMap((value): unknown[] => (Array.isArray(value) ? value : [value]))
    .filter(isNode)
    .sort((a, b) => spanOf(a).start - spanOf(b).start)
}

export function nodeAt(node: AstNode, member: string): AstNode | undefined {
  const value = node[member]
  return isNode(value) ? value : undefined
}

export function nodesAt(node: AstNode, member: string): AstNode[] {
  const value: unknown = node[member]
  return Array.isArray(value) ? value.filter(isNode) : []
}

export function textAt(node: AstNode, member: string): string | undefined {
  const value = node[member]
  return typeof value === 'string' ? value : undefined
}

/** Calls `visit` for every node from the root down, with the nodes above it, the nearest last. */
export function walk(root: AstNode, visit: (node: AstNode, above: readonly AstNode[]) => void): void {
  const above: AstNode[] = []
  const descend = (node: AstNode): void => {
    visit(node, above)
    above.push(node)
    for (const child of childrenOf(node)) descend(child)
    above.pop()
  }
  descend(root)
}
