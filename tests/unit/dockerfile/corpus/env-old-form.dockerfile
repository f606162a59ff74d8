FROM registry.example/base
ENV A some text with  blanks
ENV B "quoted text"
ENV C   $A!
ENV D	tab
