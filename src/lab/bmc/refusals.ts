import type { Resource } from './resources.ts'

/** A refusal in Redfish's words. */
export class Refused extends Error {
  readonly status: number
  readonly id: string
  constructor(status: number, id: string, message: string) {
    super(message)
    this.status = status
    this.id = id
  }
}

/** Nothing is there. */
export function missing(path: string): Refused {
  return new Refused(404, 'Base.1.15.ResourceMissingAtURI', `The resource at the URI ${path} was not found.`)
}

/** A value that its property does not take. */
export function notInList(property: string, value: unknown): Refused {
  return new Refused(
    400,
    'Base.1.15.PropertyValueNotInList',
    `The value ${String(value)} for the property ${property} is not in the list of acceptable values.`,
  )
}

/** The body of an answer that refuses. */
export function refusal(error: Refused): Resource {
  return {
    error: {
      code: 'Base.1.15.GeneralError',
      message: 'A general error has occurred. See ExtendedInfo for more information.',
      '@Message.ExtendedInfo': [
        {
          '@odata.type': '#Message.v1_1_2.Message',
          MessageId: error.id,
          Message: error.message,
          Severity: 'Critical',
          Resolution: 'None.',
        },
      ],
    },
  }
}
