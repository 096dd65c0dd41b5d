import { ProveError } from '../errors.js'

/** The parts of solc's `irAst` that are read here. */
export interface YulBlock {
  readonly nodeType: 'YulBlock'
  readonly statements: readonly YulStatement[]
}

interface YulName {
  readonly name: string
}

export interface YulCase {
  readonly value: 'default' | YulLiteral
  readonly body: YulBlock
}

export interface YulFunction {
  readonly nodeType: 'YulFunctionDefinition'
  readonly name: string
  readonly parameters?: readonly YulName[]
  readonly returnVariables?: readonly YulName[]
  readonly body: YulBlock
}

export type YulStatement =
  | YulBlock
  | YulFunction
  | { readonly nodeType: 'YulExpressionStatement'; readonly expression: YulExpression }
  | {
      readonly nodeType: 'YulVariableDeclaration'
      readonly variables: readonly YulName[]
      readonly value: YulExpression | null
    }
  | { readonly nodeType: 'YulAssignment'; readonly variableNames: readonly YulName[]; readonly value: YulExpression }
  | { readonly nodeType: 'YulIf'; readonly condition: YulExpression; readonly body: YulBlock }
  | { readonly nodeType: 'YulSwitch'; readonly expression: YulExpression; readonly cases: readonly YulCase[] }
  | YulLoop
  | { readonly nodeType: 'YulLeave' | 'YulBreak' | 'YulContinue' }

export interface YulLoop {
  readonly nodeType: 'YulForLoop'
  readonly pre: YulBlock
  readonly condition: YulExpression
  readonly post: YulBlock
  readonly body: YulBlock
}

export interface YulLiteral {
  readonly nodeType: 'YulLiteral'
  readonly kind: 'number' | 'string' | 'bool'
  readonly value?: string
  readonly hexValue?: string
}

export interface YulCall {
  readonly nodeType: 'YulFunctionCall'
  readonly functionName: YulName
  readonly arguments: readonly YulExpression[]
}

export type YulExpression = YulLiteral | YulCall | ({ readonly nodeType: 'YulIdentifier' } & YulName)

interface YulObject {
  readonly code: { readonly block: YulBlock }
  readonly subObjects?: readonly YulObject[]
}

/** Every function of the code that is deployed: the first object inside the one that deploys it. */
export function deployedFunctions(ir: YulObject): ReadonlyMap<string, YulFunction> {
  const deployed = ir.subObjects?.[0]
  if (deployed === undefined) throw new ProveError('the compiler gave no code that is deployed')
  const functions = new Map<string, YulFunction>()
  const visit = (block: YulBlock): void => {
    for (const statement of block.statements) {
      if (statement.nodeType === 'YulFunctionDefinition') functions.set(statement.name, statement)
      else if (statement.nodeType === 'YulBlock') visit(statement)
    }
  }
  visit(deployed.code.block)
  return functions
}

/** Names of all that a function calls, functions and instructions. */
export function calledBy(definition: YulFunction): ReadonlySet<string> {
  const names = new Set<string>()
  const visit = (node: unknown): void => {
    if (Array.isArray(node)) node.forEach(visit)
    if (typeof node !== 'object' || node === null) return
    if (isCall(node)) names.add(node.functionName.name)
    Object.values(node).forEach(visit)
  }
  visit(definition.body)
  return names
}

function isCall(node: object): node is YulCall {
  return 'nodeType' in node && node.nodeType === 'YulFunctionCall'
}

export type { YulObject }
