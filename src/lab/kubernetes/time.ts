/** Now, or so many seconds later, in whole seconds as Kubernetes writes them. */
export function now(secondsLater = 0): string {
  return new Date(Date.now() + secondsLater * 1000).toISOString().replace(/\.\d+Z$/, 'Z')
}
