/** One field of a message in wire format. */
export interface ProtobufField {
  number: number
  value: Buffer | bigint
}

/**
 * The fields of a message (protobuf.dev/programming-guides/encoding); fixed-width ones are passed over, nothing here has
 * any. Throws a RangeError for bytes that are no message.
 */
export function* protobufFields(bytes: Buffer): Generator<ProtobufField> {
  let at = 0
  const varint = (): bigint => {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = bytes.readUInt8(at)
      at += 1
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
    throw new RangeError('a number that does not end')
  }
  while (at < bytes.length) {
    const tag = Number(varint())
    const number = tag >>> 3
    const type = tag & 7
    if (type === 0) yield { number, value: varint() }
    else if (type === 2) {
      const size = Number(varint())
      if (at + size > bytes.length) throw new RangeError('a field that is longer than its message')
      const value = bytes.subarray(at, at + size)
      at += size
      yield { number, value }
    } else if (type === 1 || type === 5) at += type === 1 ? 8 : 4
    else throw new RangeError(`a field of the unknown wire type ${type}`)
  }
}
