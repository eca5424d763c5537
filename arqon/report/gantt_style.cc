#include "arqon/report/gantt_style.h"

namespace arqon::report {

// The palette of the report (style.cc).
std::string_view gantt_style() {
  return R"css(
:root{color-scheme:light dark;--page:#fcfcfa;--ink:#1c2126;--soft:#59636d;--rule:#e2e5e7;--wash:#f2f4f4;
--decode:#0072b2;--prefill:#c25100;--queue:#a4508a;--kv:#00896a}
@media screen and (prefers-color-scheme:dark){:root{--page:#14171a;--ink:#e4e7e9;--soft:#9ba5ad;
--rule:#2c3237;--wash:#1c2125;--decode:#56b4e9;--prefill:#f2894a;--queue:#dd8fc1;--kv:#36c79b}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);
font:16px/1.5 -apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,system-ui,sans-serif}
main{max-width:1600px;margin:0 auto;padding:32px 24px 64px}
h1{font-size:1.8rem;line-height:1.2;margin:0;overflow-wrap:anywhere}
.eyebrow{color:var(--soft);font-size:.85rem;margin:0 0 6px}
.lead{color:var(--soft);margin:8px 0 0}
.bar{position:sticky;top:0;background:var(--page);display:flex;flex-wrap:wrap;gap:8px 18px;
align-items:center;padding:12px 0;margin-top:12px;border-bottom:1px solid var(--rule);z-index:2}
.buttons{display:flex;gap:6px}
button{font:inherit;font-size:.9rem;color:var(--ink);background:var(--wash);border:1px solid var(--rule);
border-radius:5px;padding:4px 11px;cursor:pointer}
button:hover{border-color:var(--soft)}
button:focus-visible,canvas:focus-visible{outline:2px solid var(--decode);outline-offset:2px}
.keys{display:flex;flex-wrap:wrap;gap:4px 16px;font-size:.875rem;color:var(--soft)}
.keys span{display:inline-flex;align-items:center;gap:6px}
.keys i{width:11px;height:11px;border-radius:2px;background:var(--k)}
#range{font-variant-numeric:tabular-nums;font-size:.9rem;color:var(--soft);margin-left:auto}
figure{margin:22px 0 0}
figcaption{font-weight:600;font-size:.95rem;margin-bottom:4px}
canvas{display:block;width:100%;height:228px;cursor:grab;touch-action:pan-y}
canvas.held{cursor:grabbing}
#tip{position:fixed;pointer-events:none;background:var(--page);border:1px solid var(--soft);border-radius:4px;
padding:5px 9px;font-size:.8125rem;line-height:1.45;white-space:nowrap;z-index:3;font-variant-numeric:tabular-nums}
@media(max-width:640px){main{padding:20px 14px 48px}h1{font-size:1.4rem}#range{margin-left:0}}
)css";
}

std::string_view gantt_controls() {
  return R"html(<div class="bar"><div class="buttons">
<button data-zoom="0.5" aria-label="zoom in">+</button><button data-zoom="2" aria-label="zoom out">&minus;</button>
<button data-pan="-0.5" aria-label="earlier">&larr;</button><button data-pan="0.5" aria-label="later">&rarr;</button>
<button id="all">all</button></div>
<div class="keys"><span><i style="--k:var(--decode)"></i>decoding</span>
<span><i style="--k:var(--prefill)"></i>prefill chunks</span>
<span><i style="--k:var(--queue)"></i>queue</span><span><i style="--k:var(--kv)"></i>KV cache in use</span></div>
<span id="range" aria-live="polite"></span></div>)html";
}

std::string_view gantt_script() {
  return R"js(
const all=replicas.flatMap(r=>r.runs);
const first=all.reduce((a,r)=>Math.min(a,r[0]),Infinity),last=all.reduce((a,r)=>Math.max(a,r[0]+r[1]),0);
const most=(f)=>all.reduce((a,r)=>Math.max(a,f(r)),1);
const batchMax=most(r=>r[3]+r[4]),queueMax=most(r=>r[6]);
let from=first,to=last;const shortest=2000;
const pad={left:58,right:10},bands={batch:[8,112],queue:[128,156],kv:[172,200]};
const lanes=document.getElementById('lanes'),tip=document.createElement('div');tip.id='tip';tip.hidden=true;document.body.append(tip);
const css=n=>getComputedStyle(document.documentElement).getPropertyValue(n).trim();
const clock=us=>{const s=us/1e6,m=Math.floor(s/60);return m>0?m+':'+(s%60).toFixed(3).padStart(6,'0'):s.toFixed(3)+' s'};
const short=us=>us<1000?us+' us':us<1e6?(us/1000).toPrecision(3)+' ms':(us/1e6).toPrecision(3)+' s';
const views=replicas.map(r=>{const figure=document.createElement('figure'),caption=document.createElement('figcaption'),
canvas=document.createElement('canvas');const name=document.createElement('textarea');name.innerHTML=r.name;
caption.textContent='replica '+name.value+(r.runs.length?'':' (idle)');canvas.tabIndex=0;
canvas.setAttribute('role','img');canvas.setAttribute('aria-label','steps, queue and KV cache of replica '+name.value);
figure.append(caption,canvas);lanes.append(figure);return{r,canvas}});
const seek=(runs,t)=>{let a=0,b=runs.length;while(a<b){const m=(a+b)>>1;if(runs[m][0]+runs[m][1]<=t)a=m+1;else b=m}return a};
const nice=span=>{const raw=span/8,p=10**Math.floor(Math.log10(raw));return[1,2,5,10].map(k=>k*p).find(v=>v>=raw)};
function draw(view){const{canvas,r}=view,ratio=window.devicePixelRatio||1,w=canvas.clientWidth,h=canvas.clientHeight;
canvas.width=w*ratio;canvas.height=h*ratio;const g=canvas.getContext('2d');g.scale(ratio,ratio);
const inner=w-pad.left-pad.right,x=t=>pad.left+(t-from)/(to-from)*inner;
g.font='12px system-ui,sans-serif';g.fillStyle=css('--soft');g.strokeStyle=css('--rule');g.textAlign='right';g.textBaseline='middle';
const label=(band,top)=>{g.fillText(top,pad.left-8,band[0]+5);g.fillText('0',pad.left-8,band[1]-4);
g.beginPath();g.moveTo(pad.left,band[1]+.5);g.lineTo(w-pad.right,band[1]+.5);g.stroke()};
label(bands.batch,batchMax);label(bands.queue,queueMax);label(bands.kv,'100%');
g.textAlign='center';g.textBaseline='top';const step=nice(to-from);
for(let t=Math.ceil(from/step)*step;t<=to;t+=step){const at=x(t);g.beginPath();g.moveTo(at,8);g.lineTo(at,200);g.stroke();
const digits=Math.max(0,Math.ceil(6-Math.log10(step)));const s=t/1e6,m=Math.floor(s/60);
const text=m>0?m+':'+(s%60).toFixed(Math.min(6,digits)).padStart(digits?3+Math.min(6,digits):2,'0'):s.toFixed(Math.min(6,digits))+' s';
if(at>pad.left+24&&at<w-34)g.fillText(text,at,207)}
g.save();g.beginPath();g.rect(pad.left,0,inner,204);g.clip();
const decode=css('--decode'),prefill=css('--prefill'),queue=css('--queue'),kv=css('--kv'),page=css('--page');
const scale=(band,v,max)=>(band[1]-band[0])*Math.min(1,v/max);
for(let i=seek(r.runs,from);i<r.runs.length&&r.runs[i][0]<to;++i){const u=r.runs[i],a=x(u[0]),b=Math.max(a+.6,x(u[0]+u[1])),wide=b-a;
const bar=(band,colour,low,v,max)=>{if(v<=0)return;g.fillStyle=colour;const y0=band[1]-scale(band,low,max),hgt=Math.max(1,scale(band,v,max));
g.fillRect(a,y0-hgt,wide,hgt)};
bar(bands.batch,decode,0,u[3],batchMax);bar(bands.batch,prefill,u[3],u[4],batchMax);
bar(bands.queue,queue,0,u[6],queueMax);bar(bands.kv,kv,0,u[7],1000);
const each=wide/u[2];if(each>5){g.fillStyle=page;const top=bands.batch[1]-scale(bands.batch,u[3]+u[4],batchMax);
for(let k=1;k<=u[2];++k)g.fillRect(a+k*each-.5,top,1,bands.batch[1]-top)}}
g.restore()}
let queued=false;
function redraw(){if(queued)return;queued=true;requestAnimationFrame(()=>{queued=false;views.forEach(draw);
document.getElementById('range').textContent=all.length?clock(from)+' to '+clock(to):'nothing to show'})}
function show(a,b){if(!all.length)return;let span=Math.min(last-first,Math.max(shortest,b-a));
a=Math.max(first,Math.min(a,last-span));from=a;to=a+span;redraw()}
const zoom=(k,at)=>show(at-(at-from)*k,at+(to-at)*k),pan=k=>show(from+k*(to-from),to+k*(to-from));
document.querySelectorAll('[data-zoom]').forEach(b=>b.onclick=()=>zoom(+b.dataset.zoom,(from+to)/2));
document.querySelectorAll('[data-pan]').forEach(b=>b.onclick=()=>pan(+b.dataset.pan));
document.getElementById('all').onclick=()=>show(first,last);
views.forEach(({canvas,r})=>{const time=e=>{const b=canvas.getBoundingClientRect();
return from+(e.clientX-b.left-pad.left)/(b.width-pad.left-pad.right)*(to-from)};let held=null;
canvas.addEventListener('wheel',e=>{e.preventDefault();if(Math.abs(e.deltaX)>Math.abs(e.deltaY))pan(e.deltaX/800);
else zoom(Math.exp(e.deltaY/400),time(e))},{passive:false});
canvas.addEventListener('pointerdown',e=>{held={x:e.clientX,from,to};canvas.setPointerCapture(e.pointerId);canvas.classList.add('held')});
const release=()=>{held=null;canvas.classList.remove('held')};
canvas.addEventListener('pointerup',release);canvas.addEventListener('pointercancel',release);
canvas.addEventListener('pointermove',e=>{if(held){const d=(held.x-e.clientX)/canvas.clientWidth*(held.to-held.from);
show(held.from+d,held.to+d);tip.hidden=true;return}
const t=time(e),u=r.runs[seek(r.runs,t)];if(!u||t<u[0]){tip.hidden=true;return}
tip.replaceChildren();[clock(u[0]),u[2]>1?u[2]+' steps of '+short(Math.round(u[1]/u[2])):'one step of '+short(u[1]),
u[3]+' decoding'+(u[4]?', '+u[4]+(u[4]>1?' chunks':' chunk')+' of '+u[5]+' prompt tokens':''),u[6]+' waiting',
(u[7]/10)+' % of the KV cache'].forEach(s=>{const row=document.createElement('div');row.textContent=s;tip.append(row)});
tip.hidden=false;const wide=tip.offsetWidth;tip.style.left=Math.min(e.clientX+14,innerWidth-wide-8)+'px';tip.style.top=(e.clientY+14)+'px'});
canvas.addEventListener('pointerleave',()=>{tip.hidden=true});
canvas.addEventListener('dblclick',e=>zoom(.25,time(e)));
canvas.addEventListener('keydown',e=>{const act={ArrowLeft:()=>pan(-.2),ArrowRight:()=>pan(.2),'+':()=>zoom(.5,(from+to)/2),
'-':()=>zoom(2,(from+to)/2),Home:()=>show(first,last)}[e.key];if(act){e.preventDefault();act()}})});
addEventListener('resize',redraw);matchMedia('(prefers-color-scheme: dark)').addEventListener('change',redraw);
if(all.length)show(first,last);else redraw();
)js";
}

}  // namespace arqon::report
