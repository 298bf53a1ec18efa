/** Refused as the API server refuses: with a Status. */
export class StatusError extends Error {
  readonly code: number
  readonly reason: string
  readonly details: object | undefined
  constructor(code: number, reason: string, message: string, details?: object) {
    super(message)
    this.code = code
    this.reason = reason
    this.details = details
  }
}

/** The Status in which a refusal is sent. */
export function statusOf({ message, reason, details, code }: StatusError): object {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    ...(reason === '' ? {} : { reason }),
    ...(details ? { details } : {}),
    code,
  }
}

/** Any error as a refusal; what is none of the server’s own is an internal error. */
export function asStatus(error: unknown): StatusError {
  return error instanceof StatusError
    ? error
    : new StatusError(500, 'InternalError', String((error as Error)?.stack ?? error))
}
