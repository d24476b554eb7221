WARC/1.0
WARC-Type: metadata
Content-Type: application/json
Content-Length: 1786

{"Container": {"Filename": "crawl-data/example.warc.gz", "Compressed": true}, "Envelope": {"Payload-Metadata": {"HTTP-Response-Metadata": {"Headers": {}, "HTML-Metadata": {"Head": {}, "Links": [{"path": "IMG@/src", "url": "a.png", "alt": "alt 0"}, {"path": "IMG@/src", "url": "/a.png", "alt": "alt 1"}, {"path": "IMG@/src", "url": "//cdn.example/a.png", "alt": "alt 2"}, {"path": "IMG@/src", "url": "?a", "alt": "alt 3"}, {"path": "IMG@/src", "url": "#a", "alt": "alt 4"}, {"path": "IMG@/src", "url": "../a.png", "alt": "alt 5"}, {"path": "IMG@/src", "url": "../../../a.png", "alt": "alt 6"}, {"path": "IMG@/src", "url": "./b/../a.png", "alt": "alt 7"}, {"path": "IMG@/src", "url": "a b.png", "alt": "alt 8"}, {"path": "IMG@/src", "url": " a.png", "alt": "alt 9"}, {"path": "IMG@/src", "url": "\ta\n.png", "alt": "alt 10"}, {"path": "IMG@/src", "url": "http:a.png", "alt": "alt 11"}, {"path": "IMG@/src", "url": "HTTP://H.example/A.png", "alt": "alt 12"}, {"path": "IMG@/src", "url": "https:a.png", "alt": "alt 13"}, {"path": "IMG@/src", "url": "data:image/gif;base64,R0", "alt": "alt 14"}, {"path": "IMG@/src", "url": "//[::1]/a", "alt": "alt 15"}, {"path": "IMG@/src", "url": "//[::1/a", "alt": "alt 16"}, {"path": "IMG@/src", "url": "//h／o/a", "alt": "alt 17"}, {"path": "IMG@/src", "url": "a;b/c;d", "alt": "alt 18"}, {"path": "IMG@/src", "url": "a.png?x&amp;y#z", "alt": "alt 19"}, {"path": "IMG@/src", "url": "é.png", "alt": "alt 20"}, {"path": "IMG@/src", "url": "javascript:x", "alt": "alt 21"}, {"path": "IMG@/src", "url": "", "alt": "alt 22"}, {"path": "IMG@/src", "url": "..", "alt": "alt 23"}, {"path": "IMG@/src", "url": "http://o.example/a b", "alt": "alt 24"}]}}}, "WARC-Header-Metadata": {"WARC-Type": "response", "WARC-Target-URI": "http://h.example/dir/page?q#f"}}}

WARC/1.0
WARC-Type: metadata
Content-Type: application/json
Content-Length: 1774

{"Container": {"Filename": "crawl-data/example.warc.gz", "Compressed": true}, "Envelope": {"Payload-Metadata": {"HTTP-Response-Metadata": {"Headers": {}, "HTML-Metadata": {"Head": {}, "Links": [{"path": "IMG@/src", "url": "a.png", "alt": "alt 0"}, {"path": "IMG@/src", "url": "/a.png", "alt": "alt 1"}, {"path": "IMG@/src", "url": "//cdn.example/a.png", "alt": "alt 2"}, {"path": "IMG@/src", "url": "?a", "alt": "alt 3"}, {"path": "IMG@/src", "url": "#a", "alt": "alt 4"}, {"path": "IMG@/src", "url": "../a.png", "alt": "alt 5"}, {"path": "IMG@/src", "url": "../../../a.png", "alt": "alt 6"}, {"path": "IMG@/src", "url": "./b/../a.png", "alt": "alt 7"}, {"path": "IMG@/src", "url": "a b.png", "alt": "alt 8"}, {"path": "IMG@/src", "url": " a.png", "alt": "alt 9"}, {"path": "IMG@/src", "url": "\ta\n.png", "alt": "alt 10"}, {"path": "IMG@/src", "url": "http:a.png", "alt": "alt 11"}, {"path": "IMG@/src", "url": "HTTP://H.example/A.png", "alt": "alt 12"}, {"path": "IMG@/src", "url": "https:a.png", "alt": "alt 13"}, {"path": "IMG@/src", "url": "data:image/gif;base64,R0", "alt": "alt 14"}, {"path": "IMG@/src", "url": "//[::1]/a", "alt": "alt 15"}, {"path": "IMG@/src", "url": "//[::1/a", "alt": "alt 16"}, {"path": "IMG@/src", "url": "//h／o/a", "alt": "alt 17"}, {"path": "IMG@/src", "url": "a;b/c;d", "alt": "alt 18"}, {"path": "IMG@/src", "url": "a.png?x&amp;y#z", "alt": "alt 19"}, {"path": "IMG@/src", "url": "é.png", "alt": "alt 20"}, {"path": "IMG@/src", "url": "javascript:x", "alt": "alt 21"}, {"path": "IMG@/src", "url": "", "alt": "alt 22"}, {"path": "IMG@/src", "url": "..", "alt": "alt 23"}, {"path": "IMG@/src", "url": "http://o.example/a b", "alt": "alt 24"}]}}}, "WARC-Header-Metadata": {"WARC-Type": "response", "WARC-Target-URI": "https://h.example"}}}

WARC/1.0
WARC-Type: metadata
Content-Type: application/json
Content-Length: 1795

{"Container": {"Filename": "crawl-data/example.warc.gz", "Compressed": true}, "Envelope": {"Payload-Metadata": {"HTTP-Response-Metadata": {"Headers": {}, "HTML-Metadata": {"Head": {"Base": "/base/x"}, "Links": [{"path": "IMG@/src", "url": "a.png", "alt": "alt 0"}, {"path": "IMG@/src", "url": "/a.png", "alt": "alt 1"}, {"path": "IMG@/src", "url": "//cdn.example/a.png", "alt": "alt 2"}, {"path": "IMG@/src", "url": "?a", "alt": "alt 3"}, {"path": "IMG@/src", "url": "#a", "alt": "alt 4"}, {"path": "IMG@/src", "url": "../a.png", "alt": "alt 5"}, {"path": "IMG@/src", "url": "../../../a.png", "alt": "alt 6"}, {"path": "IMG@/src", "url": "./b/../a.png", "alt": "alt 7"}, {"path": "IMG@/src", "url": "a b.png", "alt": "alt 8"}, {"path": "IMG@/src", "url": " a.png", "alt": "alt 9"}, {"path": "IMG@/src", "url": "\ta\n.png", "alt": "alt 10"}, {"path": "IMG@/src", "url": "http:a.png", "alt": "alt 11"}, {"path": "IMG@/src", "url": "HTTP://H.example/A.png", "alt": "alt 12"}, {"path": "IMG@/src", "url": "https:a.png", "alt": "alt 13"}, {"path": "IMG@/src", "url": "data:image/gif;base64,R0", "alt": "alt 14"}, {"path": "IMG@/src", "url": "//[::1]/a", "alt": "alt 15"}, {"path": "IMG@/src", "url": "//[::1/a", "alt": "alt 16"}, {"path": "IMG@/src", "url": "//h／o/a", "alt": "alt 17"}, {"path": "IMG@/src", "url": "a;b/c;d", "alt": "alt 18"}, {"path": "IMG@/src", "url": "a.png?x&amp;y#z", "alt": "alt 19"}, {"path": "IMG@/src", "url": "é.png", "alt": "alt 20"}, {"path": "IMG@/src", "url": "javascript:x", "alt": "alt 21"}, {"path": "IMG@/src", "url": "", "alt": "alt 22"}, {"path": "IMG@/src", "url": "..", "alt": "alt 23"}, {"path": "IMG@/src", "url": "http://o.example/a b", "alt": "alt 24"}]}}}, "WARC-Header-Metadata": {"WARC-Type": "response", "WARC-Target-URI": "http://h.example/dir/"}}}

WARC/1.0
WARC-Type: metadata
Content-Type: application/json
Content-Length: 1807

{"Container": {"Filename": "crawl-data/example.warc.gz", "Compressed": true}, "Envelope": {"Payload-Metadata": {"HTTP-Response-Metadata": {"Headers": {}, "HTML-Metadata": {"Head": {"Base": "https://cdn.example"}, "Links": [{"path": "IMG@/src", "url": "a.png", "alt": "alt 0"}, {"path": "IMG@/src", "url": "/a.png", "alt": "alt 1"}, {"path": "IMG@/src", "url": "//cdn.example/a.png", "alt": "alt 2"}, {"path": "IMG@/src", "url": "?a", "alt": "alt 3"}, {"path": "IMG@/src", "url": "#a", "alt": "alt 4"}, {"path": "IMG@/src", "url": "../a.png", "alt": "alt 5"}, {"path": "IMG@/src", "url": "../../../a.png", "alt": "alt 6"}, {"path": "IMG@/src", "url": "./b/../a.png", "alt": "alt 7"}, {"path": "IMG@/src", "url": "a b.png", "alt": "alt 8"}, {"path": "IMG@/src", "url": " a.png", "alt": "alt 9"}, {"path": "IMG@/src", "url": "\ta\n.png", "alt": "alt 10"}, {"path": "IMG@/src", "url": "http:a.png", "alt": "alt 11"}, {"path": "IMG@/src", "url": "HTTP://H.example/A.png", "alt": "alt 12"}, {"path": "IMG@/src", "url": "https:a.png", "alt": "alt 13"}, {"path": "IMG@/src", "url": "data:image/gif;base64,R0", "alt": "alt 14"}, {"path": "IMG@/src", "url": "//[::1]/a", "alt": "alt 15"}, {"path": "IMG@/src", "url": "//[::1/a", "alt": "alt 16"}, {"path": "IMG@/src", "url": "//h／o/a", "alt": "alt 17"}, {"path": "IMG@/src", "url": "a;b/c;d", "alt": "alt 18"}, {"path": "IMG@/src", "url": "a.png?x&amp;y#z", "alt": "alt 19"}, {"path": "IMG@/src", "url": "é.png", "alt": "alt 20"}, {"path": "IMG@/src", "url": "javascript:x", "alt": "alt 21"}, {"path": "IMG@/src", "url": "", "alt": "alt 22"}, {"path": "IMG@/src", "url": "..", "alt": "alt 23"}, {"path": "IMG@/src", "url": "http://o.example/a b", "alt": "alt 24"}]}}}, "WARC-Header-Metadata": {"WARC-Type": "response", "WARC-Target-URI": "http://h.example/dir/"}}}

WARC/1.0
WARC-Type: metadata
Content-Type: application/json
Content-Length: 1806

{"Container": {"Filename": "crawl-data/example.warc.gz", "Compressed": true}, "Envelope": {"Payload-Metadata": {"HTTP-Response-Metadata": {"Headers": {}, "HTML-Metadata": {"Head": {"Base": "ftp://cdn.example/"}, "Links": [{"path": "IMG@/src", "url": "a.png", "alt": "alt 0"}, {"path": "IMG@/src", "url": "/a.png", "alt": "alt 1"}, {"path": "IMG@/src", "url": "//cdn.example/a.png", "alt": "alt 2"}, {"path": "IMG@/src", "url": "?a", "alt": "alt 3"}, {"path": "IMG@/src", "url": "#a", "alt": "alt 4"}, {"path": "IMG@/src", "url": "../a.png", "alt": "alt 5"}, {"path": "IMG@/src", "url": "../../../a.png", "alt": "alt 6"}, {"path": "IMG@/src", "url": "./b/../a.png", "alt": "alt 7"}, {"path": "IMG@/src", "url": "a b.png", "alt": "alt 8"}, {"path": "IMG@/src", "url": " a.png", "alt": "alt 9"}, {"path": "IMG@/src", "url": "\ta\n.png", "alt": "alt 10"}, {"path": "IMG@/src", "url": "http:a.png", "alt": "alt 11"}, {"path": "IMG@/src", "url": "HTTP://H.example/A.png", "alt": "alt 12"}, {"path": "IMG@/src", "url": "https:a.png", "alt": "alt 13"}, {"path": "IMG@/src", "url": "data:image/gif;base64,R0", "alt": "alt 14"}, {"path": "IMG@/src", "url": "//[::1]/a", "alt": "alt 15"}, {"path": "IMG@/src", "url": "//[::1/a", "alt": "alt 16"}, {"path": "IMG@/src", "url": "//h／o/a", "alt": "alt 17"}, {"path": "IMG@/src", "url": "a;b/c;d", "alt": "alt 18"}, {"path": "IMG@/src", "url": "a.png?x&amp;y#z", "alt": "alt 19"}, {"path": "IMG@/src", "url": "é.png", "alt": "alt 20"}, {"path": "IMG@/src", "url": "javascript:x", "alt": "alt 21"}, {"path": "IMG@/src", "url": "", "alt": "alt 22"}, {"path": "IMG@/src", "url": "..", "alt": "alt 23"}, {"path": "IMG@/src", "url": "http://o.example/a b", "alt": "alt 24"}]}}}, "WARC-Header-Metadata": {"WARC-Type": "response", "WARC-Target-URI": "http://h.example/dir/"}}}

WARC/1.0
WARC-Type: metadata
Content-Type: application/json
Content-Length: 1795

{"Container": {"Filename": "crawl-data/example.warc.gz", "Compressed": true}, "Envelope": {"Payload-Metadata": {"HTTP-Response-Metadata": {"Headers": {}, "HTML-Metadata": {"Head": {"Base": "//[bad/"}, "Links": [{"path": "IMG@/src", "url": "a.png", "alt": "alt 0"}, {"path": "IMG@/src", "url": "/a.png", "alt": "alt 1"}, {"path": "IMG@/src", "url": "//cdn.example/a.png", "alt": "alt 2"}, {"path": "IMG@/src", "url": "?a", "alt": "alt 3"}, {"path": "IMG@/src", "url": "#a", "alt": "alt 4"}, {"path": "IMG@/src", "url": "../a.png", "alt": "alt 5"}, {"path": "IMG@/src", "url": "../../../a.png", "alt": "alt 6"}, {"path": "IMG@/src", "url": "./b/../a.png", "alt": "alt 7"}, {"path": "IMG@/src", "url": "a b.png", "alt": "alt 8"}, {"path": "IMG@/src", "url": " a.png", "alt": "alt 9"}, {"path": "IMG@/src", "url": "\ta\n.png", "alt": "alt 10"}, {"path": "IMG@/src", "url": "http:a.png", "alt": "alt 11"}, {"path": "IMG@/src", "url": "HTTP://H.example/A.png", "alt": "alt 12"}, {"path": "IMG@/src", "url": "https:a.png", "alt": "alt 13"}, {"path": "IMG@/src", "url": "data:image/gif;base64,R0", "alt": "alt 14"}, {"path": "IMG@/src", "url": "//[::1]/a", "alt": "alt 15"}, {"path": "IMG@/src", "url": "//[::1/a", "alt": "alt 16"}, {"path": "IMG@/src", "url": "//h／o/a", "alt": "alt 17"}, {"path": "IMG@/src", "url": "a;b/c;d", "alt": "alt 18"}, {"path": "IMG@/src", "url": "a.png?x&amp;y#z", "alt": "alt 19"}, {"path": "IMG@/src", "url": "é.png", "alt": "alt 20"}, {"path": "IMG@/src", "url": "javascript:x", "alt": "alt 21"}, {"path": "IMG@/src", "url": "", "alt": "alt 22"}, {"path": "IMG@/src", "url": "..", "alt": "alt 23"}, {"path": "IMG@/src", "url": "http://o.example/a b", "alt": "alt 24"}]}}}, "WARC-Header-Metadata": {"WARC-Type": "response", "WARC-Target-URI": "http://h.example/dir/"}}}

WARC/1.0
WARC-Type: metadata
Content-Type: application/json
Content-Length: 1788

{"Container": {"Filename": "crawl-data/example.warc.gz", "Compressed": true}, "Envelope": {"Payload-Metadata": {"HTTP-Response-Metadata": {"Headers": {}, "HTML-Metadata": {"Head": {"Base": ""}, "Links": [{"path": "IMG@/src", "url": "a.png", "alt": "alt 0"}, {"path": "IMG@/src", "url": "/a.png", "alt": "alt 1"}, {"path": "IMG@/src", "url": "//cdn.example/a.png", "alt": "alt 2"}, {"path": "IMG@/src", "url": "?a", "alt": "alt 3"}, {"path": "IMG@/src", "url": "#a", "alt": "alt 4"}, {"path": "IMG@/src", "url": "../a.png", "alt": "alt 5"}, {"path": "IMG@/src", "url": "../../../a.png", "alt": "alt 6"}, {"path": "IMG@/src", "url": "./b/../a.png", "alt": "alt 7"}, {"path": "IMG@/src", "url": "a b.png", "alt": "alt 8"}, {"path": "IMG@/src", "url": " a.png", "alt": "alt 9"}, {"path": "IMG@/src", "url": "\ta\n.png", "alt": "alt 10"}, {"path": "IMG@/src", "url": "http:a.png", "alt": "alt 11"}, {"path": "IMG@/src", "url": "HTTP://H.example/A.png", "alt": "alt 12"}, {"path": "IMG@/src", "url": "https:a.png", "alt": "alt 13"}, {"path": "IMG@/src", "url": "data:image/gif;base64,R0", "alt": "alt 14"}, {"path": "IMG@/src", "url": "//[::1]/a", "alt": "alt 15"}, {"path": "IMG@/src", "url": "//[::1/a", "alt": "alt 16"}, {"path": "IMG@/src", "url": "//h／o/a", "alt": "alt 17"}, {"path": "IMG@/src", "url": "a;b/c;d", "alt": "alt 18"}, {"path": "IMG@/src", "url": "a.png?x&amp;y#z", "alt": "alt 19"}, {"path": "IMG@/src", "url": "é.png", "alt": "alt 20"}, {"path": "IMG@/src", "url": "javascript:x", "alt": "alt 21"}, {"path": "IMG@/src", "url": "", "alt": "alt 22"}, {"path": "IMG@/src", "url": "..", "alt": "alt 23"}, {"path": "IMG@/src", "url": "http://o.example/a b", "alt": "alt 24"}]}}}, "WARC-Header-Metadata": {"WARC-Type": "response", "WARC-Target-URI": "http://h.example/dir/"}}}

WARC/1.0
WARC-Type: metadata
Content-Type: application/json
Content-Length: 543

{"Container": {"Filename": "crawl-data/example.warc.gz", "Compressed": true}, "Envelope": {"Payload-Metadata": {"HTTP-Response-Metadata": {"Headers": {}, "HTML-Metadata": {"Head": {}, "Links": [{"path": "IMG@/src", "url": "1"}, {"path": "IMG@/src", "url": "2", "alt": ""}, {"path": "IMG@/src", "url": "3", "alt": " "}, {"path": "IMG@/src", "url": "4", "alt": "Кот &amp; кит\n"}, {"path": "IMG@/src", "url": "5", "alt": "a", "title": "t"}]}}}, "WARC-Header-Metadata": {"WARC-Type": "response", "WARC-Target-URI": "http://h.example/alt"}}}

WARC/1.0
WARC-Type: metadata
Content-Type: application/json
Content-Length: 418

{"Container": {"Filename": "crawl-data/example.warc.gz", "Compressed": true}, "Envelope": {"Payload-Metadata": {"HTTP-Response-Metadata": {"Headers": {}, "HTML-Metadata": {"Head": {}, "Links": [{"path": "A@/href", "url": "/x", "alt": "x"}, {"path": "IMG@/longdesc", "url": "/y", "alt": "y"}, {"url": "/z", "alt": "z"}]}}}, "WARC-Header-Metadata": {"WARC-Type": "response", "WARC-Target-URI": "http://h.example/path"}}}

WARC/1.0
WARC-Type: metadata
Content-Type: application/json
Content-Length: 295

{"Container": {"Filename": "crawl-data/example.warc.gz", "Compressed": true}, "Envelope": {"Payload-Metadata": {"HTTP-Response-Metadata": {"Headers": {}, "HTML-Metadata": {"Head": {}, "Links": []}}}, "WARC-Header-Metadata": {"WARC-Type": "response", "WARC-Target-URI": "http://h.example/none"}}}

WARC/1.0
WARC-Type: metadata
Content-Type: application/json
Content-Length: 38

{"broken": "IMG@/src", "HTML-Metadata"

WARC/1.0
WARC-Type: metadata
Content-Type: application/json
Content-Length: 65

{"Envelope": {"Payload-Metadata": {"HTTP-Request-Metadata": {}}}}

WARC/1.0
WARC-Type: metadata
Content-Type: application/json
Content-Length: 350

{"Container": {"Filename": "crawl-data/example.warc.gz", "Compressed": true}, "Envelope": {"Payload-Metadata": {"HTTP-Response-Metadata": {"Headers": {}, "HTML-Metadata": {"Head": {}, "Links": [{"path": "IMG@/src", "url": "/last.png", "alt": "last"}]}}}, "WARC-Header-Metadata": {"WARC-Type": "response", "WARC-Target-URI": "http://h.example/last"}}}

