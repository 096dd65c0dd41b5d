import { createHash } from 'node:crypto'
import { type AstNode, nodeAt, nodesAt, spanOf, textAt, walk } from '../solidity/ast.js'

/** Something that is reached or not. */
export interface Mark {
  /** Eight bytes that the marked code pushes on the stack when it is reached. */
  readonly value: bigint
  readonly kind: 'statement' | 'yul' | 'branch'
  readonly line: number
  /** The line, or what the branch is about. */
  readonly text: string
}

export interface Instrumented {
  readonly text: string
  readonly marks: readonly Mark[]
}

/** `at` is a byte of the source; what is inserted at one place stands in the order of `rank`. */
interface Insertion {
  readonly at: number
  readonly rank: number
  readonly text: string
  /** Bytes that it takes the place of. */
  readonly skip?: number
}

/**
 * Puts a mark before every statement, Solidity's and Yul's, and into both branches of every `if` and `require`.
 *
 * A mark must not touch memory, since code here counts on what lies where; must be allowed in pure functions; and must
 * outlive the optimizer. So it compares the size of calldata with a number that it never has: the number is pushed.
 */
export function instrument(file: string, source: Buffer, ast: AstNode): Instrumented {
  const marks: Mark[] = []
  const insertions: Insertion[] = []
  const text = (start: number, end: number): string => source.subarray(start, end).toString('utf8')
  const lineAt = (at: number): { line: number; text: string } => {
    const before = text(0, at)
    const start = before.lastIndexOf('\n') + 1
    const rest = text(0, source.length).slice(start)
    return { line: before.split('\n').length, text: (rest.split('\n')[0] ?? '').replace(/\/\/.*$/, '').trim() }
  }
  const mark = (kind: Mark['kind'], at: number, about?: string): string => {
    const digest = createHash('sha256').update(`${file} ${String(marks.length)}`).digest('hex')
    const value = BigInt(`0xc0${digest.slice(0, 14)}`)
    const place = lineAt(at)
    marks.push({ value, kind, line: place.line, text: about ?? place.text })
    const check = `if eq(calldatasize(), 0x${value.toString(16)}) { invalid() }`
    return kind === 'yul' ? ` ${check} ` : ` assembly ("memory-safe") { ${check} } `
  }
  const endOf = (node: AstNode): number => {
    const { end } = spanOf(node)
    return text(end, end + 1) === ';' ? end + 1 : end
  }

  const wrapBody = (body: AstNode, condition: string, taken: boolean): void => {
    const { start } = spanOf(body)
    const branch = mark('branch', start, `${condition} ${taken ? 'holds' : 'does not hold'}`)
    if (body.nodeType === 'Block') {
      insertions.push({ at: start + 1, rank: 0, text: branch })
      return
    }
    insertions.push({ at: start, rank: 1, text: `{${branch}` }, { at: endOf(body), rank: -1, text: '}' })
  }

  walk(ast, (node, above) => {
    const parent = above.at(-1)
    if (parent && isStatementOf(parent, node)) {
      const { start } = spanOf(node)
      const isYul = node.nodeType.startsWith('Yul')
      insertions.push({ at: start, rank: 2, text: mark(isYul ? 'yul' : 'statement', start) })
    }
    if (node.nodeType === 'IfStatement') {
      const [condition, yes, no] = [nodeAt(node, 'condition'), nodeAt(node, 'trueBody'), nodeAt(node, 'falseBody')]
      if (!condition || !yes) return
      const about = `if (${text(spanOf(condition).start, spanOf(condition).end).replaceAll(/\s+/g, ' ')})`
      wrapBody(yes, about, true)
      if (no) wrapBody(no, about, false)
      else {
        const branch = mark('branch', spanOf(node).start, `${about} does not hold`)
        insertions.push({ at: endOf(yes), rank: 0, text: ` else {${branch}}` })
      }
    }
    const [condition, error] = requireOf(node)
    if (condition && error) {
      const { start } = spanOf(node)
      const [from, to] = [spanOf(condition), spanOf(error)]
      const guard = text(from.start, from.end)
      const about = `require(${guard.replaceAll(/\s+/g, ' ')})`
      const fails = mark('branch', start, `${about} fails`)
      const passes = mark('branch', start, `${about} passes`)
      insertions.push({
        at: start,
        rank: 3,
        skip: endOf(node) - start,
        text: `if (!(${guard})) {${fails} revert ${text(to.start, to.end)}; } else {${passes}}`,
      })
    }
  })
  return { text: apply(source, insertions), marks }
}

/** Condition and error of a `require` that stands as a statement. */
function requireOf(node: AstNode): AstNode[] {
  const call = node.nodeType === 'ExpressionStatement' ? nodeAt(node, 'expression') : undefined
  const callee = call && nodeAt(call, 'expression')
  return call && callee && textAt(callee, 'name') === 'require' ? nodesAt(call, 'arguments') : []
}

/** Bodies without braces are marked as branches. */
function isStatementOf(parent: AstNode, node: AstNode): boolean {
  if (!['Block', 'UncheckedBlock', 'YulBlock'].includes(parent.nodeType)) return false
  return node.nodeType !== 'YulFunctionDefinition'
}

function apply(source: Buffer, insertions: readonly Insertion[]): string {
  const parts: string[] = []
  let from = 0
  for (const { at, text, skip = 0 } of [...insertions].sort((a, b) => a.at - b.at || a.rank - b.rank)) {
    parts.push(source.subarray(from, at).toString('utf8'), text)
    from = at + skip
  }
  parts.push(source.subarray(from).toString('utf8'))
  return parts.join('')
}
