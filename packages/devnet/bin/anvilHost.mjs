// Runs the command it is given for as long as its own stdin is open: a parent that dies, however it dies, closes it.
import { spawn } from 'node:child_process'
import process from 'node:process'

const [command, ...args] = process.argv.slice(2)
const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit'] })

child.on('error', (error) => {
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 1
  process.stdin.destroy()
})
child.on('exit', (code) => {
  process.exitCode = code ?? 1
  process.stdin.destroy()
})
for (const event of ['end', 'error']) process.stdin.on(event, () => child.kill('SIGKILL'))
process.stdin.resume()
