import type { Readable } from 'node:stream'

/** How to reach one machine. */
export interface SshAccess {
  name: string
  address: string
  port: number
  user: string
  /** A private key's text, an ssh-agent's socket, or both. */
  privateKey?: string
  agent?: string
  /** Public host keys that are accepted (`ssh-ed25519 AAAA…`); `first-use` accepts any and says which it saw. */
  pins: string[] | 'first-use'
  /** Bound on connecting and on each answer of the handshake; 10 s by default. */
  connectTimeoutMs?: number
  /** How often a quiet line is asked whether it is there, and how many questions may stay unanswered; 10 s, 3 times. */
  keepAlive?: KeepAlive
  /** Called when something has taken the connection; the person's own `ssh` does not tell. */
  taken?: () => void
  /** The person's own `ssh` in place of the built-in client. */
  openssh?: OpenSsh
}

export interface KeepAlive {
  everyMs: number
  times: number
}

/** Without this, a machine that reboots under us would leave us waiting for ever; faster ones kill loaded lines. */
export const patientKeepAlive: KeepAlive = { everyMs: 10_000, times: 3 }

/** The program `ssh` and what it goes by. */
export interface OpenSsh {
  /** In place of ~/.ssh/config and the system's; absolute path. */
  config?: string
  /** A key to offer beside those that the config names. */
  keyFile?: string
}

export interface CommandResult {
  /** 255 also when a signal ended the command. */
  code: number
  stdout: string
  stderr: string
}

export interface RunOptions {
  stdin?: string | Buffer | Readable
  signal?: AbortSignal
  /** Bound on the whole command; 60 s by default. */
  timeoutMs?: number
}

/** One connection to one machine. */
export interface SshConnection {
  /** Public host key that the machine showed: `ssh-ed25519 AAAA…`. */
  readonly hostKey: string
  /**
   * Runs one command line. Faults: `host-line-lost` when the line ended under it, `host-silent` when nothing came for
   * too long. At either, and when the signal aborts, the command may be running still.
   */
  run(command: string, options?: RunOptions): Promise<CommandResult>
  close(): void
  /** Resolves when the line is down, whoever ended it, and nothing of it is left behind. */
  readonly closed: Promise<void>
}
