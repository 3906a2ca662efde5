// The page at / in headless Chromium, light and dark, as a person would use it: compares, searches, draws,
// writes screenshots, and fails on any error in the console or request to another host.
//
//   node bench/peers/clients/page.mjs --url http://127.0.0.1:8080/ --out /tmp/shots [--chromium /usr/bin/chromium]
import fs from 'node:fs';
import path from 'node:path';
import process from 'node:process';

const options = { url: 'http://127.0.0.1:8080/', out: 'page-shots', chromium: '/usr/bin/chromium', modules: import.meta.dirname };
for (let i = 2; i + 1 < process.argv.length; i += 2) options[process.argv[i].replace(/^--/, '')] = process.argv[i + 1];

let puppeteer;
try {
  const { createRequire } = await import('node:module');
  puppeteer = createRequire(path.join(path.resolve(options.modules), 'package.json'))('puppeteer-core');
} catch { console.log('skipped  puppeteer-core is not installed'); process.exit(0); }
if (!fs.existsSync(options.chromium)) { console.log(`skipped  no ${options.chromium}`); process.exit(0); }

fs.mkdirSync(options.out, { recursive: true });
const browser = await puppeteer.launch({ executablePath: options.chromium, args: ['--no-sandbox', '--disable-gpu'], headless: true });
const complaints = [];
const shot = (page, name) => page.screenshot({ path: path.join(options.out, `${name}.png`) });

for (const scheme of ['light', 'dark']) {
  const page = await browser.newPage();
  await page.setViewport({ width: 1180, height: 900 });
  page.on('console', (message) => { if (message.type() === 'error') complaints.push(message.text()); });
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('request', (request) => {
    if (!request.url().startsWith(options.url) && !request.url().startsWith('data:')) complaints.push(`asks ${request.url()}`);
  });
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
  await page.goto(options.url, { waitUntil: 'load' });
  await page.waitForFunction(() => document.querySelectorAll('#model option').length > 0);
  await page.click('#compare-example');
  await page.waitForFunction(() => document.querySelectorAll('table.heat td').length === 36);
  await shot(page, `compare-${scheme}`);
  await page.click('#tab-search');
  await page.click('#search-example');
  await page.waitForFunction(() => document.querySelectorAll('#search-out li').length === 16);
  await shot(page, `search-${scheme}`);
  await page.click('#tab-map');
  await page.click('#map-go');
  await page.waitForFunction(() => document.querySelectorAll('#map-out circle').length === 16);
  await shot(page, `map-${scheme}`);
  await (await page.$('#map-out circle')).hover();
  await page.waitForFunction(() => document.querySelectorAll('#map-out circle.near').length === 6);
  await shot(page, `near-${scheme}`);
  await page.setViewport({ width: 420, height: 860 });
  await page.click('#tab-compare');
  if (await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth)) complaints.push('wider than a phone');
  await shot(page, `narrow-${scheme}`);
  const text = await page.evaluate(() => document.querySelector('#live').innerText);
  if (!/texts\/s/.test(text)) complaints.push(`no live line: ${text}`);
}
await browser.close();
console.log(complaints.length ? `FAILED\n${complaints.join('\n')}` : `ok       screenshots in ${options.out}`);
process.exit(complaints.length ? 1 : 0);
