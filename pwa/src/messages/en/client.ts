export const client = {
  title: 'Knock',
}
