/** Programs that take a host and a port in a line of their own, by the port of their service. */
const lines: Record<string, (host: string, port: number) => string> = {
  21: (host, port) => `ftp://${host}:${port}`,
  22: (host, port) => `ssh -p ${port} ${host}`,
  445: (host, port) => `smb://${host}:${port}`,
  3306: (host, port) => `mysql -h ${host} -P ${port}`,
  3389: (host, port) => `mstsc /v:${host}:${port}`,
  5432: (host, port) => `psql -h ${host} -p ${port}`,
  5900: (host, port) => `vnc://${host}:${port}`,
}

/** What to run for a service of a well-known kind; undefined where nothing is known. */
export function readyLine(target: string | undefined, address: string): string | undefined {
  const known = target && lines[target.slice(target.lastIndexOf(':') + 1)]
  const at = address.lastIndexOf(':')
  const port = Number(address.slice(at + 1))
  return known && at > 0 && port > 0 ? known(address.slice(0, at), port) : undefined
}
