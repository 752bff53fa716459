import { journey, phone, see, signIn } from './harness.mjs'

await journey(async (world, browsers) => {
  await world.letIn()
  const page = await (await browsers.new(phone)).newPage()
  await page.goto('/')
  await signIn(page, world.name, 'not this one')
  await see(page, 'Name or password is not right.')
  await signIn(page)
  await see(page, 'Where you are')
  await see(page, world.addresses.client1)
})
