/*
 * The scripts of copies (shared_copies.h). The octets of all are counted in a
 * key beside their set, so that no script has to go through it.
 */
#include "daemon/shared_copies_state.h"

#define LUA_FIT \
	"local function fit(k,w) local t=redis.call('TYPE',k)\n" \
	" t=t.ok or t\n" \
	" if t~=w and t~='none' then redis.call('DEL',k) end end\n"

/*
 * set, octets; now, time that is too old, most octets, name and size, size,
 * age, how many may go at a time
 * Returns 1 where there is room for it, else 0; and name and size of those
 * that went for it
 */
#define LUA_RESERVE LUA_FIT \
	"local l,n=KEYS[1],KEYS[2]\n" \
	"fit(l,'zset') fit(n,'string')\n" \
	"local limit,size,many=tonumber(ARGV[3]),tonumber(ARGV[5])," \
	"tonumber(ARGV[7])\n" \
	"local octets=tonumber(redis.call('GET',n) or 0) or 0\n" \
	"if octets<0 or redis.call('ZCARD',l)==0 then octets=0 end\n" \
	"if redis.call('ZREM',l,ARGV[4])==1 then octets=octets-size end\n" \
	"local out={0}\n" \
	"local function drop(m)\n" \
	" redis.call('ZREM',l,m)\n" \
	" octets=octets-(tonumber(string.sub(m,17)) or 0)\n" \
	" out[#out+1]=m\n" \
	"end\n" \
	"for _,m in ipairs(redis.call('ZRANGEBYSCORE',l,'-inf',ARGV[2]," \
	"'LIMIT',0,many)) do drop(m) end\n" \
	"while #out<=many and octets+size>limit do\n" \
	" local m=redis.call('ZRANGE',l,0,0)[1]\n" \
	" if not m then octets=0 break end\n" \
	" drop(m)\n" \
	"end\n" \
	"if octets+size<=limit then\n" \
	" redis.call('ZADD',l,ARGV[1],ARGV[4])\n" \
	" octets=octets+size\n" \
	" out[1]=1\n" \
	"end\n" \
	"redis.call('SET',n,string.format('%.0f',octets))\n" \
	"redis.call('EXPIRE',l,ARGV[6])\n" \
	"redis.call('EXPIRE',n,ARGV[6])\n" \
	"return out\n"

/* octets of a copy; from where, a piece, age
 * Returns how much there is, or -1: what was before it is gone */
#define LUA_PIECE LUA_FIT \
	"local b,at=KEYS[1],tonumber(ARGV[1])\n" \
	"fit(b,'string')\n" \
	"if redis.call('STRLEN',b)<at then return -1 end\n" \
	"if at==0 then redis.call('SET',b,ARGV[2])\n" \
	"else redis.call('SETRANGE',b,at,ARGV[2]) end\n" \
	"redis.call('EXPIRE',b,ARGV[3])\n" \
	"return at+#ARGV[2]\n"

/* chain, octets of a copy; content, what is known of it, size
 * Returns 1; 0: it is not wanted any more; -1: octets of it are gone */
#define LUA_WHOLE LUA_FIT \
	"local a,b,c=KEYS[1],KEYS[2],ARGV[1]\n" \
	"fit(a,'hash') fit(b,'string')\n" \
	"local here=redis.call('HGET',a,'c'..c)\n" \
	"if here==ARGV[2] then return 1 end\n" \
	"if redis.call('HEXISTS',a,'h'..c)==0 or here then return 0 end\n" \
	"if redis.call('STRLEN',b)~=tonumber(ARGV[3]) then return -1 end\n" \
	"redis.call('HSET',a,'c'..c,ARGV[2])\n" \
	"redis.call('HDEL',a,'p'..c)\n" \
	"return 1\n"

/* chain; field, what stands there if it has not changed */
#define LUA_FORGET LUA_FIT \
	"local a,f=KEYS[1],ARGV[1]\n" \
	"fit(a,'hash')\n" \
	"if redis.call('HGET',a,f)==ARGV[2] then redis.call('HDEL',a,f) end\n" \
	"return 1\n"

/* set, octets, octets of a copy; name and size, size */
#define LUA_DROP LUA_FIT \
	"local l,n,b=KEYS[1],KEYS[2],KEYS[3]\n" \
	"fit(l,'zset') fit(n,'string')\n" \
	"if redis.call('ZREM',l,ARGV[1])==1 and" \
	" redis.call('EXISTS',n)==1 then\n" \
	" redis.call('DECRBY',n,ARGV[2])\n" \
	"end\n" \
	"redis.call('UNLINK',b)\n" \
	"return 1\n"

const struct redis_script shared_copy_scripts[COPY_SCRIPT__N] = {
	[COPY_SCRIPT_RESERVE] = {"copy-reserve", LUA_RESERVE},
	[COPY_SCRIPT_PIECE] = {"copy-piece", LUA_PIECE},
	[COPY_SCRIPT_WHOLE] = {"copy-whole", LUA_WHOLE},
	[COPY_SCRIPT_FORGET] = {"copy-forget", LUA_FORGET},
	[COPY_SCRIPT_DROP] = {"copy-drop", LUA_DROP},
};
