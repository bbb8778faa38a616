import { describe, expect, test } from 'vitest';

import { linkify } from '../lib/linkify.ts';

const links = (text: string) => linkify(text).flatMap(({ href }) => href ?? []);

describe('linkify', () => {
  test.each([
    ['see https://a.example/x?y=1#z.', 'https://a.example/x?y=1#z'],
    ['(http://a.example)', 'http://a.example'],
    ['https://en.example/wiki/Points_(rail), yes', 'https://en.example/wiki/Points_(rail)'],
    ['HTTPS://A.EXAMPLE!', 'HTTPS://A.EXAMPLE'],
  ])('%s', (text, href) => expect(links(text)).toEqual([href]));

  test.each(['javascript:alert(1)', 'data:text/html,x', 'https://', 'xhttps://a.example', 'file:///etc/passwd', 'a.example'])(
    '%s is no link',
    (text) => expect(links(text)).toEqual([]),
  );

  test.each(['', 'plain', 'a https://a.example b http://b.example/).', '<b>https://a.example</b>', '))))https://a.example))))'])(
    'nothing of %s is lost',
    (text) => expect(linkify(text).map((segment) => segment.text).join('')).toBe(text),
  );
});
