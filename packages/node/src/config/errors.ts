/** The node's configuration is wrong. `setting` names the variable, or the file and the member in it. Never shows secrets. */
export class ConfigError extends Error {
  readonly code = 'CONFIG_INVALID'
  readonly setting: string

  constructor(setting: string, expected: string, options?: ErrorOptions) {
    super(`${setting} must be ${expected}.`, options)
    this.name = 'ConfigError'
    this.setting = setting
  }
}
