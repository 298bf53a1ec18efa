/** Something that Butane says of a place in a file. */
export interface ButaneMessage {
  severity: 'error' | 'warning'
  /** As Butane writes it: `$.storage.files.0.mode`. */
  path: string
  /** From 1; absent where the place is not known. */
  line?: number
  column?: number
  text: string
}

/** Specs of Ignition that some image accepts. */
export type IgnitionSpec = `3.${number}.0` | `3.${number}.0-experimental`

export interface ButaneOptions {
  /** Name of the file in messages: `<stdin>` as Butane says when it reads from there. */
  source: string
  /** Folder that `local:` paths are relative to; without it they are refused, as Butane does. */
  filesDir?: string
  /** Warnings are failures. */
  strict?: boolean
  /**
   * Spec of Ignition that the target image accepts, for the experimental variants whose spec moved from one Butane to
   * the next; what Butane 0.29 emits by default.
   */
  spec?: IgnitionSpec
}

export interface ButaneResult {
  /** The compiled config; absent when it failed. */
  config?: Record<string, unknown>
  /** The same as Butane prints it: one line and a line feed. Empty when it failed. */
  text: string
  messages: ButaneMessage[]
  /** What Butane 0.29 prints on its standard error, without the last line feed. */
  report: string
  /** Every file below `filesDir` that went into the config. */
  localFiles: string[]
  exitCode: 0 | 1
}
