import { answerFurther, type InitResult } from '../src/cluster/init.ts'
import { shownCertificate } from '../src/tls/shown-certificate.ts'

/** What a person is asked: whether this is their NAS. */
export interface CertificateOffer {
  url: string
  /** `sha256:` and 64 hex digits. */
  fingerprint: string
}

/**
 * Trust on first use: where a new cluster file lacks the fingerprint of the NAS, the certificate that answers at its
 * address is shown to a person, and written into the file with their yes. Nothing else is sent there, and from then on no
 * other certificate is accepted. Nothing changes where nobody answers.
 */
export async function trustNas(
  result: InitResult,
  agrees: (offer: CertificateOffer) => boolean,
): Promise<InitResult> {
  if (result.nas === undefined || !result.questions.some(q => q.path === 'nas.fingerprint')) return result
  const fingerprint = await shownCertificate(result.nas)
  if (fingerprint === undefined || !agrees({ url: result.nas, fingerprint })) return result
  return answerFurther(result, { 'nas.fingerprint': fingerprint })
}
