/*
 * The scripts of shared arrival records. Each is done as a whole or not at
 * all, on the keys that it is given alone:
 *   chain    hash of all writes of a chain: r<name> a row, u<name> how often it
 *            was written once more, s the number of the last, o octets of rows;
 *            and of each content: h<content> its rows, f<content> how often it
 *            was found, c<content> its copy, p<content> one on its way
 *   order    sorted set of the names, by their numbers
 *   message  sorted set of name and chain of what has a Message-ID
 * A row begins with a seal of 16 octets, 20 digits (its time), 16 octets of
 * content and 16 of message.
 */
#include "daemon/shared_arrivals_state.h"

/* A key of ours that is no such thing is none. */
#define LUA_FIT \
	"local function fit(k,w) local t=redis.call('TYPE',k)\n" \
	" t=t.ok or t\n" \
	" if t~=w and t~='none' then redis.call('DEL',k) end end\n" \
	"fit(KEYS[1],'hash') fit(KEYS[2],'zset')\n" \
	"if KEYS[3] then fit(KEYS[3],'zset') end\n"

/* Takes a row out; of a content that was its last, gone has the copy then. */
#define LUA_DROP LUA_FIT \
	"local function drop(a,o,name,gone)\n" \
	" local row=redis.call('HGET',a,'r'..name)\n" \
	" redis.call('ZREM',o,name)\n" \
	" redis.call('HDEL',a,'r'..name,'u'..name)\n" \
	" if not row then return end\n" \
	" redis.call('HINCRBY',a,'o',-#row)\n" \
	" local c=string.sub(row,37,52)\n" \
	" if redis.call('HINCRBY',a,'h'..c,-1)>0 then return end\n" \
	" local copy=redis.call('HGET',a,'c'..c)\n" \
	" if copy then gone[#gone+1]=c gone[#gone+1]=copy end\n" \
	" redis.call('HDEL',a,'h'..c,'f'..c,'c'..c,'p'..c)\n" \
	"end\n"

/*
 * chain, order, message; name, name and chain, row, time that is too old, age,
 * most rows, most octets, copy on its way or empty
 * Returns 1 where the copy is wanted, 0 where it is not, 2 where the write is
 *         there already; and contents and copies that are gone
 */
#define LUA_WRITE LUA_DROP \
	"local a,o,m=KEYS[1],KEYS[2],KEYS[3]\n" \
	"local name,place,row,old,age=ARGV[1],ARGV[2],ARGV[3],ARGV[4],ARGV[5]\n" \
	"local rows,octets=tonumber(ARGV[6]),tonumber(ARGV[7])\n" \
	"local c,out=string.sub(row,37,52),{0}\n" \
	"local function live()\n" \
	" for _,k in ipairs(KEYS) do redis.call('EXPIRE',k,age) end\n" \
	"end\n" \
	"if redis.call('HEXISTS',a,'r'..name)==1 and" \
	"  redis.call('ZSCORE',o,name) then\n" \
	" redis.call('HINCRBY',a,'u'..name,1)\n" \
	" live()\n" \
	" return {2}\n" \
	"end\n" \
	"redis.call('ZADD',o,redis.call('HINCRBY',a,'s',1),name)\n" \
	"redis.call('HSET',a,'r'..name,row)\n" \
	"redis.call('HINCRBY',a,'o',#row)\n" \
	"redis.call('HINCRBY',a,'h'..c,1)\n" \
	"if ARGV[8]~='' and redis.call('HEXISTS',a,'c'..c)==0 then\n" \
	" redis.call('HSET',a,'p'..c,ARGV[8])\n" \
	" out[1]=1\n" \
	"end\n" \
	"while true do\n" \
	" local first=redis.call('ZRANGE',o,0,0)[1]\n" \
	" if not first or first==name then break end\n" \
	" local r=redis.call('HGET',a,'r'..first)\n" \
	" if r and (tonumber(string.sub(r,17,36)) or 0)>tonumber(old)" \
	"  and redis.call('ZCARD',o)<=rows" \
	"  and tonumber(redis.call('HGET',a,'o'))<=octets then break end\n" \
	" drop(a,o,first,out)\n" \
	"end\n" \
	"local top=redis.call('ZREVRANGE',m,0,0,'WITHSCORES')[2] or 0\n" \
	"redis.call('ZADD',m,top+1,place)\n" \
	"redis.call('ZREMRANGEBYRANK',m,0,-1-rows)\n" \
	"live()\n" \
	"return out\n"

/* chain, order, message; name, name and chain
 * Returns contents and copies that are gone */
#define LUA_REMOVE LUA_DROP \
	"local a,o,m=KEYS[1],KEYS[2],KEYS[3]\n" \
	"local name,gone=ARGV[1],{}\n" \
	"if (tonumber(redis.call('HGET',a,'u'..name) or 0) or 0)>0 then\n" \
	" redis.call('HINCRBY',a,'u'..name,-1)\n" \
	" return gone\n" \
	"end\n" \
	"drop(a,o,name,gone)\n" \
	"redis.call('ZREM',m,ARGV[2])\n" \
	"if redis.call('EXISTS',o)==0 then redis.call('DEL',a) end\n" \
	"return gone\n"

/*
 * chain, order; time that is too old, message or empty, most rows
 * Returns how often it was found before, and of each row, the youngest first:
 * name, row, and what is known of its copy
 */
#define LUA_FIND LUA_FIT \
	"local a,o=KEYS[1],KEYS[2]\n" \
	"local old,message=tonumber(ARGV[1]),ARGV[2]\n" \
	"local out,most,first={0},0,nil\n" \
	"for _,name in ipairs(redis.call('ZREVRANGE',o,0,ARGV[3]-1)) do\n" \
	" local row=redis.call('HGET',a,'r'..name)\n" \
	" if row and (tonumber(string.sub(row,17,36)) or 0)>old and" \
	"  (message=='' or string.sub(row,53,68)==message) then\n" \
	"  local c=string.sub(row,37,52)\n" \
	"  local f=tonumber(redis.call('HGET',a,'f'..c) or 0) or 0\n" \
	"  if f>most then most=f end\n" \
	"  first=first or c\n" \
	"  out[#out+1]=name\n" \
	"  out[#out+1]=row\n" \
	"  out[#out+1]=redis.call('HGET',a,'c'..c) or" \
	"   redis.call('HGET',a,'p'..c) or ''\n" \
	" end\n" \
	"end\n" \
	"if first and most<4294967295 then\n" \
	" redis.call('HSET',a,'f'..first,most+1)\n" \
	"end\n" \
	"out[1]=most\n" \
	"return out\n"

const struct redis_script shared_arrival_scripts[] = {
	[ARRIVAL_SCRIPT_WRITE] = {"arrival-write", LUA_WRITE},
	[ARRIVAL_SCRIPT_REMOVE] = {"arrival-remove", LUA_REMOVE},
	[ARRIVAL_SCRIPT_FIND] = {"arrival-find", LUA_FIND},
};
const size_t shared_arrival_n_scripts = ARRIVAL_SCRIPT__N;
