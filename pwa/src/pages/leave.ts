/** Leaves the app for another address, in place of the page that is shown. */
export function leaveFor(address: string): void {
  location.replace(address)
}
