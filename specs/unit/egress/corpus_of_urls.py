"""URLs that need no world, each under the rule that refuses it; and those that are allowed.

Every name here resolves to a public address, so that only the text of a URL can be what is refused.
"""

from __future__ import annotations

PUBLIC = "93.184.216.34"

REFUSED: dict[str, str] = {  # rule: hosts, or whole URLs, between spaces
    "this-network": "0.0.0.0 0.0.0.1 0.255.255.255",
    "private": """10.0.0.0 10.0.0.1 10.255.255.255 172.16.0.0 172.16.0.1 172.31.255.255
        192.168.0.0 192.168.1.1 192.168.255.255 https://10.1.2.3/x http://192.168.0.1:80/?a=b
        [::ffff:10.0.0.1] [::ffff:c0a8:101] [::10.0.0.1] [64:ff9b::10.0.0.1] [64:ff9b::ac10:1]
        [2002:a00:1::] [2002:c0a8:101::1] [2001:0:a00:1::f7f7:f7f7] [2001:0:808:808::f5ff:fffe]
        [2001:470::5efe:10.0.0.1] [2001:470::200:5efe:192.168.1.1]""",
    "shared": "100.64.0.0 100.64.0.1 100.127.255.255 [::ffff:100.64.0.1]",
    "loopback": """127.0.0.0 127.0.0.1 127.0.0.2 127.1.2.3 127.255.255.255 http://127.0.0.1:443/
        HTTP://127.0.0.1/ http://127.0.0.1 http://127.0.0.1? http://127.0.0.1#x
        http://127.0.0.1#@example.com/ http://127.0.0.1/@example.com http://127.0.0.1?@example.com
        http://127.0.0.1:/ [::1] [0:0:0:0:0:0:0:1] [0000:0000:0000:0000:0000:0000:0000:0001]
        [::0001] [0::1] https://[::1]:443/ http://[::1]:/ [::ffff:127.0.0.1] [::FFFF:7F00:1]
        [0:0:0:0:0:ffff:7f00:1] [::ffff:7fff:ffff] [::127.0.0.1] [::7f00:1] [64:ff9b::127.0.0.1]
        [64:ff9b::7f00:1] [64:FF9B::7F00:1] [2002:7f00:1::] [2002:7f00:1::1]
        [2002:7f00:0001:0:0:0:0:0] [2001:0:7f00:1::f7f7:f7f7] [2001:0:808:808::80ff:fffe]
        [2001:470::5efe:7f00:1]""",
    "link-local": """169.254.0.1 169.254.1.1 169.254.255.255 [fe80::1] [FE80::1] [fe80::] [febf::1]
        [fe80::5efe:808:808] [::ffff:169.254.1.1]""",
    "metadata": """169.254.169.254 169.254.170.2 169.254.170.23 100.100.100.200 192.0.0.192
        168.63.129.16 http://169.254.169.254/latest/meta-data/ https://168.63.129.16/
        [fd00:ec2::254] [fd00:ec2::23] [fd20:ce::254] [::ffff:169.254.169.254] [::ffff:a9fe:a9fe]
        [::169.254.169.254] [64:ff9b::a9fe:a9fe] [2002:a9fe:a9fe::] [2001:0:a9fe:a9fe::]
        [2001:0:808:808::5601:5601] [::ffff:168.63.129.16] [2001:470::5efe:a9fe:a9fe]""",
    "protocol": """192.0.0.0 192.0.0.1 192.0.0.8 192.0.0.9 192.0.0.10 192.0.0.170 192.0.0.171
        192.0.0.255 [2001:1::1] [2001:1::2] [2001:100::1] [2001:1ff::1]""",
    "documentation": """192.0.2.0 192.0.2.1 192.0.2.255 198.51.100.1 203.0.113.1 203.0.113.255
        [2001:db8::] [2001:db8::1] [2001:DB8:ffff::1] [3fff::1] [3fff:fff::1] [::ffff:192.0.2.1]""",
    "relay": "192.88.99.0 192.88.99.1 192.88.99.2 192.88.99.255 [2002:c058:6301::]",
    "benchmarking": "198.18.0.0 198.18.0.1 198.19.255.255 [2001:2::1] [2001:2:0:ffff::1]",
    "multicast": """224.0.0.0 224.0.0.1 224.0.0.251 239.255.255.250 239.255.255.255 [ff02::1]
        [ff00::] [ff05::2] [ff0e::1] [FFFF::1] [::ffff:224.0.0.1] [64:ff9b::e000:1]""",
    "reserved": "240.0.0.0 240.0.0.1 250.1.2.3 255.255.255.254 [::ffff:240.0.0.1]",
    "broadcast": "255.255.255.255 [::ffff:255.255.255.255]",
    "unspecified": "[::] [0:0:0:0:0:0:0:0] [0000::0000] https://[::]:443/",
    "translation": """[::ffff:0:127.0.0.1] [::ffff:0:7f00:1] [::ffff:0:8.8.8.8] [64:ff9b:1::1]
        [64:ff9b:1::7f00:1] [64:ff9b:1:ffff::808:808]""",
    "discard": "[100::] [100::1] [100:0:0:1::1]",
    "identifier": "[2001:10::1] [2001:1f::1] [2001:20::1] [2001:2f::1] [2001:30::1]",
    "segment-routing": "[5f00::1] [5f00:ffff::1]",
    "unique-local": "[fc00::1] [fc00::] [fd00::1] [fd12:3456:789a::1] [fdff::1] [FD00::1]",
    "site-local": "[fec0::1] [feff::1]",
    "unallocated": """[4000::1] [6000::1] [8000::1] [a000::1] [c000::1] [e000::1] [200::1] [400::1]
        [1::1] [64:ff9a::1] [::1:0:0:1] [::fffe:7f00:1]""",
    "spelling": """127.1 127.0.1 0 1 2130706433 3232235777 2852039166 4294967295 4294967296
        6425673729 0177.0.0.1 0177.1 0177.0.0.01 00000177.0.0.1 017700000001 0x7f.0.0.1 0x7f.1
        0x7F.0x0.0x0.0x1 0x7f000001 0X7F000001 0x7f.0.1 0x 127.0.0.0x1 127.0.0.01 127.0.0.1.
        127.000.000.001 127.0.0.256 256.0.0.1 127.0.0 1.2.3.4.5 127.0.0.1.1 169.254.43518
        0251.0376.0251.0376 0xa9fea9fe 0xA9.0xFE.0xA9.0xFE 10.1 192.168.257 172.1048577
        0300.0250.0.1 0xc0a80001 8.8.8.8. 08.8.8.8 134744072 0x08080808 010.010.010.010 8.8
        example.1 example.0x7f foo.0177 a.b.256 \uff11\uff12\uff17.0.0.1 \u2460\u2461\u2466.0.0.1
        \u2460\u2461\u2466.\u24ea.\u24ea.\u2460 127\u30020\u30020\u30021 127\uff0e0\uff0e0\uff0e1
        127\uff610\uff610\uff611 12\u00ad7.0.0.1 127.0.0\u200b.1 \uff18.8.8.8
        \uff12\uff11\uff13\uff10\uff17\uff10\uff16\uff14\uff13\uff13 0\uff587f.0.0.1
        \U0001d7cf\U0001d7d0\U0001d7d5.0.0.1 1\u00b2\u2077.0.0.1 [127.0.0.1] [8.8.8.8] [:::1]
        [::1::] [1:2:3] [12345::1] [g::1] [::ffff:999.0.0.1] [::ffff:127.1] [::ffff:0x7f.0.0.1]
        [::ffff:0177.0.0.1] [v1.fe80] [v6.::1] [1:2:3:4:5:6:7:8:9] [::1:] [localhost]
        [::ffff:127.0.0.1.]""",
    "host": """[fe80::1%25eth0] [fe80::1%eth0] [::1%25lo] [::1%lo] [::ffff:127.0.0.1%25lo]
        [2606:4700:4700::1111%25eth0] [2606:4700:4700::1111%1] [fe80::1%] http:///
        http:///example.com/ http://?a http://#a http://:80/ http://: http://::1/ http://[::1
        http://[::1]] http://[[::1]]/ http://::1]/ http://[::1]x/ http://[::1]example.com/
        http://2606:4700:4700::1111/ http://x[::1]/ http://example.com:80:80/
        http://127.0.0.1:80:80/ http://example.com:+80/ http://example.com:-80/
        http://example.com:0x50/ http://example.com:80a/ http://example.com:\uff18\uff10/
        http://example.com:123456789012345678901/ %31%32%37.0.0.1 127.0.0.%31
        127%2e0%2e0%2e1 exampl%65.com example.com%00.evil.test http://[::ffff:7f00:1/96]/
        example.com%23.evil.test %6c%6f%63%61%6c%68%6f%73%74 .example.com example..com example.com..
        . .. -.$ exa!mple.com example.com,evil.test example.com;evil.test example.com'or
        "example.com" <example.com> {example}.com example.com|evil.test example.com^evil.test
        example.com`id` $(id).example.com example.com&evil.test example.com=evil.test
        example.com*evil.test *.example.com (example.com) example.com+evil.test ~example.com
        a\u2100b.test example\uff0f.com example\u2488com example\ufe52""",
    "scheme": """file:///etc/passwd file://localhost/etc/passwd file:/etc/passwd ftp://example.com/
        ftps://example.com/ sftp://example.com/ gopher://127.0.0.1:6379/_INFO dict://127.0.0.1:11211/
        ldap://127.0.0.1/ ldaps://example.com/ tftp://example.com/ telnet://example.com/
        ssh://example.com/ smb://example.com/x data:text/plain,hi data:,x javascript:alert(1)
        about:blank blob:http://example.com/x mailto:a@example.com ws://example.com/
        wss://example.com/ unix:///var/run/docker.sock http+unix://%2Fvar%2Frun%2Fdocker.sock/info
        unix:/run/x.sock httpx://example.com/ https+insecure://example.com/ jar:http://example.com!/
        view-source:http://example.com/ url:http://example.com/ netdoc:///etc/passwd
        phar://example.com/x php://filter/x expect://id //example.com/ //127.0.0.1/ example.com
        example.com/x 127.0.0.1 localhost:80 /etc/passwd /x ?x #x http http: http:/ http:example.com
        http:/example.com http:127.0.0.1 http:/127.0.0.1 https:example.com https:/example.com
        ://example.com :///x 1http://example.com/ -http://example.com/ h\u0442tp://example.com/
        \uff48ttp://example.com/ http;//example.com/ http//example.com""",
    "userinfo": """http://user@example.com/ http://user:pass@example.com/ http://@example.com/
        http://:@example.com/ http://:pass@example.com/ http://example.com@127.0.0.1/
        http://example.com:80@127.0.0.1/ http://127.0.0.1@example.com/ http://a@b@example.com/
        http://example.com%40127.0.0.1@example.com/ http://user@[::1]/ http://user%3Apass@example.com/
        https://169.254.169.254@example.com/ http://example.com:@127.0.0.1/
        http://foo@evil.test:80@google.com/ http://1.1.1.1&@2.2.2.2#@3.3.3.3/
        http://user:pa:ss@example.com/""",
    "port": """http://example.com:0/ http://example.com:1/ http://example.com:22/
        http://example.com:25/ http://8.8.8.8:22/ http://8.8.8.8:25/ http://8.8.8.8:6379/
        https://8.8.8.8:3306/ http://example.com:6379/ http://example.com:11211/
        http://example.com:65535/ http://example.com:65536/ http://example.com:99999/ http://example.com:65536000/
        http://example.com:81/ https://example.com:444/ http://example.com:8080/
        https://example.com:8443/ http://[2606:4700:4700::1111]:22/ https://example.com:5432/
        http://example.com:2375/ https://example.com:10250/ http://example.com:9200/""",
    "name": """localhost LOCALHOST localhost. LocalHost. foo.localhost a.b.localhost
        localhost.localdomain foo.localdomain https://localhost/ http://localhost:80/
        http://localhost:443/ \u24c1\u24c4\u24b8\u24b6\u24c1\u24bd\u24c4\u24c8\u24c9
        \uff4c\uff4f\uff43\uff41\uff4c\uff48\uff4f\uff53\uff54 loc\u00adalhost
        metadata.google.internal metadata.google.internal. metadata.internal foo.internal internal
        printer.local local host.docker.internal kubernetes.default.svc.cluster.local""",
}

WITH_BLANKS: tuple[str, ...] = (  # all refused by the rule `url`
    *(
        " http://example.com/",
        "http://example.com/ ",
        "http:// example.com/",
        "http://example.com /",
    ),
    *(
        "http://exam ple.com/",
        "http://example.com/a b",
        "\thttp://example.com/",
        "http://exam\tple.com/",
    ),
    *(
        "ht\ttp://example.com/",
        "http://example.com\n",
        "http://exam\nple.com/",
        "http:\n//example.com/",
    ),
    *("http://example.com/\r\nHost: 127.0.0.1", "http://example.com\r.evil.test/", " ", "\n"),
    *(
        "http://example.com\x00.evil.test/",
        "http://127.0.0.1\x00@example.com/",
        "\x01http://example.com",
    ),
    *("http://example.com\x0b/", "http://example.com\x0c/", "http://example.com\x7f/"),
    *(
        "http://example.com\\@127.0.0.1/",
        "http://127.0.0.1\\@example.com/",
        "http:\\\\example.com\\",
    ),
    *(
        "http:\\\\127.0.0.1/",
        "http:/\\127.0.0.1/",
        "http:\\/127.0.0.1/",
        "http://example.com\\.evil.test",
    ),
    *(
        "http://example.com/\\@127.0.0.1",
        "http://example.com\\",
        "\\\\127.0.0.1\\x",
        "http://\\127.0.0.1/",
    ),
    *(
        "http://127.0.0.1\\.example.com/",
        "http://example.com/a\\b",
        "http://example.com\xa0.evil.test/",
    ),
    *(
        "http://example.com\u3000/",
        "http://example.com\u2028.evil.test/",
        "http://example.com\x85/",
    ),
    f"http://example.com/{'a' * 8192}",
)

ALLOWED: str = """example.com EXAMPLE.com Example.Com. example.com. http://example.com https://example.com
    HTTP://example.com/ hTTps://example.com/ http://example.com? http://example.com?a=b
    http://example.com#x http://example.com/#@127.0.0.1 http://example.com#@127.0.0.1/
    http://example.com?@127.0.0.1/ http://example.com/@127.0.0.1 http://example.com/?u=http://127.0.0.1/
    http://example.com/http://127.0.0.1/ http://example.com//127.0.0.1/ http://example.com/a/../b
    http://example.com/%2e%2e/ http://example.com/%00 http://example.com/a%20b?q=%5C
    http://example.com/a:b@c http://example.com/;x=1 http://example.com/'"<> http://example.com/[x]
    http://example.com:80/ https://example.com:443/ http://example.com:443/ https://example.com:80/
    http://example.com:/ http://example.com:080/ http://example.com:0000080/ www.example.com
    a.b.c.d.e.example.com xn--bcher-kva.example b\u00fccher.example B\u00dcCHER.example
    stra\u00dfe.example \u4f8b\u3048.test \u4f8b\u3048\u3002test \u2603.test
    \uff45\uff58\uff41\uff4d\uff50\uff4c\uff45.com ex\u00adample.com b\u00fccher.example.
    fcbarcelona.com fc00.example.com fd-example.com fd00.example.com fe80.example.com fe80.org
    fec0.example.com ff02.example.com ffffffff.example.com 10.example.com 127.0.0.1.example.com
    127.example.com 192-168-0-1.example.com 0x7f.example.com 0.example.com 1.2.3.4.example.com
    2130706433.example.com localhost.example.com local.example.com internal.example.com
    notlocalhost.example metadata.example.com api db redis mongodb backend metadata intranet.example
    localhostx.test mylocal xlocal.test rebind.test x.invalid good.example a-b.example.com
    a--b.example.com -a.example.com a-.example.com under_score.example.com _dmarc.example.com
    x1.example.com 1x.example.com 123.com 0x7f.com 1e100.net 3com.com example.c0m example.x1
    8.8.8.8 1.1.1.1 93.184.216.34 http://8.8.8.8 https://1.1.1.1/ http://8.8.8.8:443/ 9.255.255.255
    11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.1 169.253.255.255 169.255.0.1
    172.15.255.255 172.32.0.0 191.255.255.255 192.0.1.1 192.0.3.1 192.31.196.1 192.52.193.1
    192.88.98.255 192.88.100.1 192.167.255.255 192.169.0.1 192.175.48.1 198.17.255.255 198.20.0.1
    198.51.99.255 198.51.101.1 203.0.112.255 203.0.114.1 223.255.255.255 1.0.0.0 168.63.129.15
    168.63.129.17 [2606:4700:4700::1111] [2606:4700:4700:0:0:0:0:1111] [2606:4700:4700::1.1.1.1]
    https://[2001:4860:4860::8888]:443/ [2A00:1450:4001:800::200E] [2001:470::1] [2001:200::1]
    [2001:db7::1] [2001:db9::1] [2000::1] [2003::1] [2400::1] [2620:4f:8000::1] [2001:4:112::1]
    [2001:3::1] [3ffe:ffff::1] [2001:470::5efe:808:808] [::ffff:8.8.8.8] [::ffff:808:808]
    [::8.8.8.8] [64:ff9b::8.8.8.8] [64:ff9b::808:808] [2002:808:808::]
    [2001:0:808:808::f7f7:f7f7]"""


def url_of(text: str) -> str:
    """Return the URL that a word of the tables stands for: itself, or that of a host."""
    return text if ":" in text and not text.startswith("[") else f"http://{text}/"
